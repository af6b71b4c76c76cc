import { expect, test } from "vitest";
import { serverKind } from "../server/kind.js";
import { httpLocalRateLimitPolicyKind } from "./kind.js";

const targetRef = { group: "policy.linkerd.io", kind: "Server", name: "web-http" };
const client = { kind: "ServiceAccount", name: "special", namespace: "shop" };

test("check accepts what Linkerd documents", () => {
  const spec = {
    targetRef,
    total: { requestsPerSecond: 100 },
    identity: { requestsPerSecond: 20 },
    overrides: [{ requestsPerSecond: 25, clientRefs: [client, { ...client, name: "other" }] }],
  };
  expect(httpLocalRateLimitPolicyKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
  const server = {
    podSelector: { matchLabels: { app: "web" } },
    port: "http",
    accessPolicy: "all-unauthenticated",
  };
  expect(serverKind.check({ spec: server })).toEqual({ ok: true, spec: server, warnings: [] });
  expect(serverKind.check({ spec: { ...server, port: 8080, proxyProtocol: "HTTP/2" } })).toMatchObject({
    ok: true,
    warnings: [expect.stringContaining("proxyProtocol has no effect")],
  });
});

test.each<[object, string]>([
  [{ targetRef }, "spec: must have at least one of total, identity, overrides"],
  [{ targetRef: { ...targetRef, kind: "Service" }, total: { requestsPerSecond: 1 } }, "spec.targetRef.kind"],
  [{ targetRef, total: { requestsPerSecond: 0 } }, "spec.total.requestsPerSecond: must be at least 1"],
  [
    { targetRef, overrides: [{ requestsPerSecond: 1, clientRefs: [{ ...client, kind: "User" }] }] },
    "spec.overrides[0].clientRefs[0].kind: must be ServiceAccount",
  ],
  [
    { targetRef, overrides: [{ requestsPerSecond: 1, clientRefs: [client, client] }] },
    "spec.overrides[0].clientRefs[1]: is named twice",
  ],
])("check refuses %j", (spec, expected) => {
  const checked = httpLocalRateLimitPolicyKind.check({ spec });
  const found = checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
  expect(found.join("\n")).toContain(expected);
});

test.each([undefined, "deny", "all-authenticated"])(
  "a Server that would refuse somebody is refused, not taken for one that lets all in: %s",
  (accessPolicy) => {
    const spec = { podSelector: {}, port: 80, ...(accessPolicy && { accessPolicy }) };
    const checked = serverKind.check({ spec });
    const found = checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
    expect(found.join("\n")).toContain("spec.accessPolicy");
    expect(found.join("\n")).toContain("all-unauthenticated");
  },
);
