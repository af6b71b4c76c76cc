import { afterAll, beforeAll, expect, test } from "vitest";

import type { Gateway } from "./support/gateway.js";
import { call, callJson } from "./support/http.js";
import { Mesh, RECORDER } from "./support/mesh.js";
import type { Workload } from "./support/workload.js";

// Workloads that reach services through a gateway which passes their mutual TLS on as it is.

let mesh: Mesh;
let gateway: Gateway;
let web: Workload;
let caller: Workload;

const WEB = "web.default.svc.cluster.local";

/** A host that callers reach through the gateway, asking it for a server name. */
const far = (name: string, port: number, sni: string, account: string): string => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec:
  hosts: [${name}.global]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 8080, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: ${port}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${name}}
spec:
  host: ${name}.global
  trafficPolicy:
    tls: {mode: ISTIO_MUTUAL, sni: "${sni}", subjectAltNames: ["spiffe://cluster.local/ns/default/sa/${account}"]}
---`;

beforeAll(async () => {
  mesh = await Mesh.start();
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: eastwest, namespace: istio-system}
spec:
  selector: {istio: eastwest}
  servers:
  - {port: {number: 15443, protocol: TLS, name: tls}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ["default/*"]}
`);
  gateway = await mesh.gateway({ name: "eastwest", ports: [15_443] });
  web = await mesh.run({ service: "web", command: RECORDER });
  const port = await gateway.port(15_443);
  await mesh.apply(
    far("web", port, `outbound_.8080_._.${WEB}`, "web") +
      far("wrong", port, `outbound_.8080_._.${WEB}`, "bank") +
      far("nowhere", port, "outbound_.8080_._.nobody.default.svc.cluster.local", "web"),
  );
  const upstreams = ["web", "wrong", "nowhere"].flatMap((name) => ["--upstream", `${name}.global:8080`]);
  caller = await mesh.run({ service: "caller", args: upstreams });
  await gateway.knows(`outbound_.8080_._.${WEB}`, 1);
}, 90_000);

afterAll(() => mesh?.end(), 60_000);

test("mutual TLS goes through the gateway from end to end: the callee knows its caller", async () => {
  const answer = await call(`${caller.upstream("web.global:8080")}/a`, { method: "POST", body: "hello" });
  expect(answer).toMatchObject({ status: 200, body: "hello" });
  const seen = (await callJson(`http://127.0.0.1:${web.ready.appPort}/seen`)) as {
    headers: Record<string, string>;
  }[];
  expect(seen.at(-1)!.headers["x-forwarded-client-cert"]).toContain(
    "URI=spiffe://cluster.local/ns/default/sa/caller",
  );
});

test("the callee's identity is verified by the caller, and a name that no service has is refused", async () => {
  expect((await call(caller.upstream("wrong.global:8080"))).status).toBe(503);
  expect((await call(caller.upstream("nowhere.global:8080"))).status).toBe(503);
  expect((await call(caller.upstream("web.global:8080"))).status).toBe(200);
});
