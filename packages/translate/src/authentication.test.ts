import { expect, test } from "vitest";
import { acceptedTls } from "./authentication.js";
import { CLIENT, mesh } from "../testdata/mesh.js";
import { Translation } from "./translation.js";

function policy(namespace: string, spec: string, name = "default"): string {
  return `---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: ${name}, namespace: ${namespace}}
spec: {${spec}}
`;
}

function accepted(yaml: string, appPort = 8080) {
  const t = new Translation(mesh([], yaml).reader, { ...CLIENT, labels: { app: "api" } });
  return acceptedTls(t, appPort);
}

const SELECTOR = "selector: {matchLabels: {app: api}}";

test("acceptedTls takes both without a policy", () => {
  expect(accepted("")).toBe("PERMISSIVE");
});

test("acceptedTls prefers port to workload to namespace to mesh", () => {
  const root = policy("istio-system", "mtls: {mode: STRICT}");
  const namespace = policy("default", "mtls: {mode: DISABLE}");
  const workload = policy(
    "default",
    `${SELECTOR}, mtls: {mode: PERMISSIVE}, portLevelMtls: {"9": {mode: STRICT}}`,
    "api",
  );
  expect(accepted(root)).toBe("STRICT");
  expect(accepted(root + namespace)).toBe("DISABLE");
  expect(accepted(root + namespace + workload)).toBe("PERMISSIVE");
  expect(accepted(root + namespace + workload, 9)).toBe("STRICT");
});

test("acceptedTls passes on from a policy that leaves the mode unset", () => {
  const root = policy("istio-system", "mtls: {mode: STRICT}");
  expect(accepted(root + policy("default", "mtls: {mode: UNSET}"))).toBe("STRICT");
  expect(accepted(root + policy("default", SELECTOR, "api"))).toBe("STRICT");
});

test("acceptedTls leaves out policies of other workloads and namespaces", () => {
  const others =
    policy("default", "selector: {matchLabels: {app: other}}, mtls: {mode: STRICT}", "other") +
    policy("elsewhere", "mtls: {mode: STRICT}") +
    policy("istio-system", `${SELECTOR}, mtls: {mode: STRICT}`, "api");
  expect(accepted(others)).toBe("PERMISSIVE");
});
