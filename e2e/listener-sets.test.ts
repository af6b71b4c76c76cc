import { findKind } from "@tulle/api";
import { createTestAuthority, eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { secureCall, type Gateway } from "./support/gateway.js";
import { call } from "./support/http.js";
import { Mesh, RECORDER } from "./support/mesh.js";

// A team adds listeners of its own, with its own certificate, to a Gateway of another namespace that allows it.

let mesh: Mesh;
let gateway: Gateway;
const authority = await createTestAuthority();
const certificate = await authority.issue({ uris: [], dnsNames: ["team.example.com"] });
const indented = (text: string): string => text.trimEnd().replaceAll("\n", "\n    ");

const gatewayOf = (allowed: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: edge}
spec:
  gatewayClassName: tulle
  listeners: [{name: http, port: 80, protocol: HTTP, hostname: own.example.com}]
  allowedListeners: {namespaces: {from: ${allowed}}}
`;

beforeAll(async () => {
  mesh = await Mesh.start();
  await mesh.apply(`
apiVersion: v1
kind: Namespace
metadata: {name: edge}
---
apiVersion: v1
kind: Secret
metadata: {name: team}
type: kubernetes.io/tls
stringData:
  tls.crt: |
    ${indented(certificate.certificateChainPem)}
  tls.key: |
    ${indented(certificate.privateKeyPem)}
---${gatewayOf("None")}---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: team}
spec:
  parentRef: {name: public, namespace: edge}
  listeners:
  - {name: http, port: 80, protocol: HTTP, hostname: team.example.com}
  - {name: https, port: 443, protocol: HTTPS, hostname: team.example.com, tls: {certificateRefs: [{name: team}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: team}
spec:
  parentRefs: [{kind: ListenerSet, name: team}]
  rules: [{backendRefs: [{name: web, port: 8080}]}]
`);
  await mesh.run({ service: "web", command: RECORDER });
  gateway = await mesh.gateway({ name: "public", ports: [80, 443], args: ["-n", "edge"] });
  await gateway.port(80);
}, 60_000);

afterAll(() => mesh?.end(), 60_000);

interface Conditions {
  readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string }[];
}

async function statusOf<Status extends Conditions>(
  kind: string,
  name: string,
  namespace: string,
): Promise<Status> {
  const described = findKind("gateway.networking.k8s.io", kind)!;
  const found = await mesh.client.resources.get(described, { name, namespace });
  return (found as unknown as { readonly status: Status }).status;
}

const accepted = ({ conditions }: Conditions): string | undefined =>
  conditions.find(({ type }) => type === "Accepted")?.reason;

const plain = async (): Promise<number> => {
  const headers = { host: "team.example.com" };
  return (await call(`http://127.0.0.1:${await gateway.port(80)}/a`, { headers })).status;
};

test("a Gateway takes no listeners unless it says so", async () => {
  expect(accepted(await statusOf("ListenerSet", "team", "default"))).toBe("NotAllowed");
  expect(await gateway.isOpen(443)).toBe(false);
  expect(await plain()).toBe(404);
});

test("listeners that are allowed are served at once, with the certificate of the set's namespace", async () => {
  await mesh.apply(gatewayOf("All"));
  const port = await gateway.port(443);
  const answer = await eventually(async () => {
    const got = await secureCall(port, { servername: "team.example.com", ca: authority.rootCertificatePem });
    return got.status === 200 ? got : undefined;
  });
  expect(answer.status).toBe(200);
  expect(await plain()).toBe(200);
  type SetStatus = Conditions & { readonly listeners: readonly { readonly attachedRoutes: number }[] };
  const status = await statusOf<SetStatus>("ListenerSet", "team", "default");
  expect([accepted(status), status.listeners.map(({ attachedRoutes }) => attachedRoutes)]).toEqual([
    "Accepted",
    [1, 1],
  ]);
  type GatewayStatus = Conditions & { readonly attachedListenerSets: number };
  expect((await statusOf<GatewayStatus>("Gateway", "public", "edge")).attachedListenerSets).toBe(1);
});

test("a set that goes takes its listeners along", async () => {
  const kind = findKind("gateway.networking.k8s.io", "ListenerSet")!;
  await mesh.client.resources.delete(kind, { name: "team", namespace: "default" });
  await eventually(async () => !(await gateway.isOpen(443)));
  await eventually(async () => (await plain()) === 404);
});
