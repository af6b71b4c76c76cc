import { fileURLToPath } from "node:url";

import { findKind } from "@tulle/api";
import { createTestAuthority, eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { secureCall, type Gateway } from "./support/gateway.js";
import { call } from "./support/http.js";
import { Mesh, RECORDER } from "./support/mesh.js";

// Gateways of Gateway API as their users run them, with routes that are attached from another namespace.

let mesh: Mesh;
let gateway: Gateway;
const authority = await createTestAuthority();
const certificate = await authority.issue({ uris: [], dnsNames: ["*.example.com"] });
const partners = await createTestAuthority();
const partner = await partners.issue({ uris: [], dnsNames: ["partner.example.com"] });
const app = (name: string): string[] => [
  process.execPath,
  fileURLToPath(new URL(`support/apps/${name}.mjs`, import.meta.url)),
];
const indented = (text: string): string => text.trimEnd().replaceAll("\n", "\n    ");

beforeAll(async () => {
  mesh = await Mesh.start();
  await mesh.apply(`
apiVersion: v1
kind: Namespace
metadata: {name: vault}
---
apiVersion: v1
kind: Namespace
metadata: {name: edge}
---
apiVersion: v1
kind: Secret
metadata: {name: web, namespace: vault}
type: kubernetes.io/tls
stringData:
  tls.crt: |
    ${indented(certificate.certificateChainPem)}
  tls.key: |
    ${indented(certificate.privateKeyPem)}
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: edge, namespace: vault}
spec: {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: edge}], to: [{group: "", kind: Secret}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: edge}
spec:
  gatewayClassName: tulle
  listeners:
  - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
  - name: https
    port: 443
    protocol: HTTPS
    hostname: "*.example.com"
    tls: {certificateRefs: [{name: web, namespace: vault}]}
    allowedRoutes: {namespaces: {from: All}}
  - name: partners
    port: 8443
    protocol: HTTPS
    tls: {certificateRefs: [{name: web, namespace: vault}]}
    allowedRoutes: {namespaces: {from: All}}
  tls:
    frontend:
      default: {}
      perPort:
      - port: 8443
        tls: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: partners}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: partners, namespace: edge}
data:
  ca.crt: |
    ${indented(partners.rootCertificatePem)}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: partners}
spec:
  parentRefs: [{name: public, namespace: edge, sectionName: partners}]
  rules:
  - matches: [{path: {value: /grpc}}]
    filters:
    - type: ExternalAuth
      externalAuth: {protocol: GRPC, grpc: {}, backendRef: {name: authz-grpc, port: 8080}}
    backendRefs: [{name: web, port: 8080}]
  - matches: [{path: {value: /200}}, {path: {value: /403}}]
    filters:
    - type: ExternalAuth
      externalAuth:
        protocol: HTTP
        http: {path: /check, allowedResponseHeaders: [x-user]}
        backendRef: {name: authz-http, port: 8080}
        forwardBody: {maxSize: 100}
    backendRefs: [{name: web, port: 8080}]
  - backendRefs: [{name: web, port: 8080}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: redirect}
spec:
  parentRefs: [{name: public, namespace: edge, sectionName: http}]
  hostnames: [web.example.com]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: public, namespace: edge, sectionName: https}, {name: public, namespace: edge, sectionName: nowhere}]
  hostnames: [web.example.com]
  rules: [{backendRefs: [{name: web, port: 8080}]}]
`);
  await Promise.all([
    mesh.run({ service: "web", command: RECORDER }),
    mesh.run({ service: "authz-http", command: app("http-authorizer"), healthPath: "" }),
    mesh.run({
      service: "authz-grpc",
      command: app("grpc-authorizer"),
      healthPath: "",
      args: ["--protocol", "grpc"],
    }),
  ]);
  gateway = await mesh.gateway({ name: "public", ports: [80, 443, 8443], args: ["-n", "edge"] });
  await gateway.knows("outbound|8080||web.default.svc.cluster.local", 1);
}, 90_000);

afterAll(() => mesh?.end(), 60_000);

test("requests go by the routes that are attached to the listener that they come to", async () => {
  const plain = await call(`http://127.0.0.1:${await gateway.port(80)}/a`, {
    headers: { host: "web.example.com" },
  });
  expect([plain.status, plain.headers["location"]]).toEqual([301, "https://web.example.com/a"]);
  const port = await gateway.port(443);
  const ca = authority.rootCertificatePem;
  const answer = await secureCall(port, { servername: "web.example.com", ca });
  expect([answer.status, answer.serial]).toEqual([200, certificate.serialNumber]);
  expect((await secureCall(port, { servername: "other.example.com", ca })).status).toBe(404);
  await expect(secureCall(port, { servername: "web.example.org", ca })).rejects.toThrow();
});

/** A request to the port for partners. */
async function ask(path: string, client?: typeof partner, headers: Record<string, string> = {}, body = "") {
  const ca = authority.rootCertificatePem;
  const shown = client && { cert: client.certificateChainPem, key: client.privateKeyPem };
  const method = body === "" ? "GET" : "POST";
  const port = await gateway.port(8443);
  return secureCall(port, { servername: "web.example.com", ca, path, headers, method, ...shown }, body);
}

test("clients of a port show certificates of the authorities in a ConfigMap", async () => {
  expect((await ask("/", partner)).status).toBe(200);
  await expect(ask("/")).rejects.toThrow();
  await expect(
    ask("/", await authority.issue({ uris: [], dnsNames: ["partner.example.com"] })),
  ).rejects.toThrow();
});

test("services that routes name decide about requests, over gRPC and HTTP", async () => {
  expect(await ask("/grpc", partner)).toMatchObject({ status: 401, body: "who asks for /grpc?" });
  expect((await ask("/grpc", partner, { "x-user": "alice" })).status).toBe(200);
  expect((await ask("/403", partner)).status).toBe(403);
  expect(await ask("/200", partner, { "x-user": "forged" }, "hello")).toMatchObject({
    status: 200,
    body: "hello",
  });
  expect((await ask("/200", partner, {}, "x".repeat(101))).status).toBe(413);
  const seen = JSON.parse((await ask("/seen", partner)).body) as { headers: Record<string, string> }[];
  expect(seen.map(({ headers }) => headers["x-user"]).filter((user) => user !== undefined)).toEqual([
    "alice!",
    "http:undefined",
  ]);
});

interface Conditions {
  readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string }[];
}

test("the status of Gateway and route says what became of each listener and parent", async () => {
  const read = async <Status>(kind: string, name: string, namespace: string): Promise<Status> => {
    const found = await mesh.client.resources.get(findKind("gateway.networking.k8s.io", kind)!, {
      name,
      namespace,
    });
    return (found as { readonly status: unknown }).status as Status;
  };
  const of = ({ conditions }: Conditions, type: string) =>
    conditions.find((one) => one.type === type)?.reason;
  const status = await eventually(async () => {
    const found = await read<
      Conditions & { listeners: readonly (Conditions & { attachedRoutes: number })[] }
    >("Gateway", "public", "edge");
    // How many proxies run it.
    return of(found, "Reconciled") === undefined ? undefined : found;
  });
  expect([of(status, "Accepted"), of(status, "Programmed")]).toEqual(["Accepted", "Programmed"]);
  expect(status.listeners.map(({ attachedRoutes }) => attachedRoutes)).toEqual([1, 1, 1]);
  const route = await read<{ parents: readonly (Conditions & { controllerName: string })[] }>(
    "HTTPRoute",
    "web",
    "default",
  );
  expect(route.parents.map((parent) => [parent.controllerName, of(parent, "Accepted")])).toEqual([
    ["tulle.dev/gateway-controller", "Accepted"],
    ["tulle.dev/gateway-controller", "NoMatchingParent"],
  ]);
});
