import { join } from "node:path";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { getInsecurely } from "./support/https.js";
import { tryTls } from "./support/inbound-tls.js";
import { Mesh } from "./support/mesh.js";
import { controlPlaneOf, joinToken, svidOf } from "./support/svid.js";
import { urlOf, type Workload } from "./support/workload.js";

// Two meshes, each with a control plane and a root of its own, which trust each other's workloads through SPIFFE bundle
// endpoints, and a third that nobody trusts.

const STRICT = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
`;
const SNI = "outbound_.8080_._.web.default.svc.cluster.local";

const files = mkdtempSync(join(tmpdir(), "tulle-federation-"));
let east: Mesh;
let west: Mesh;
let far: Mesh;
const webs = new Map<Mesh, Workload>();

async function bundlePort(mesh: Mesh): Promise<number> {
  const { addresses } = await mesh.client.info();
  return Number(addresses.bundle?.split(":").at(-1));
}

/** The options of a mesh that trusts the other one. */
async function trusting(
  name: string,
  port: number,
  other: string,
  otherPort: number,
): Promise<readonly string[]> {
  const bundleFile = join(files, `${other}.json`);
  writeFileSync(bundleFile, await getInsecurely(`https://127.0.0.1:${otherPort}/`));
  const file = join(files, `${name}.yaml`);
  writeFileSync(
    file,
    `trustDomains:
- trustDomain: ${other}.example
  endpoint: https://127.0.0.1:${otherPort}/
  bundleFile: ${bundleFile}
`,
  );
  return [...plain(name, port), "--federation", file];
}

const plain = (name: string, port: number): readonly string[] => [
  "--trust-domain",
  `${name}.example`,
  "--bundle-endpoint-port",
  String(port),
];

beforeAll(async () => {
  [east, west, far] = await Promise.all([
    Mesh.start(plain("east", 0)),
    Mesh.start(plain("west", 0)),
    Mesh.start(plain("far", 0)),
  ]);
  const [eastPort, westPort] = [await bundlePort(east), await bundlePort(west)];
  const options = [
    [east, await trusting("east", eastPort, "west", westPort)],
    [west, await trusting("west", westPort, "east", eastPort)],
  ] as const;
  for (const [mesh, args] of options) {
    await mesh.control.stop();
    await mesh.startControlPlane(args);
    await mesh.apply(STRICT);
    webs.set(mesh, await mesh.run({ service: "web", args: ["--protocol", "http"] }));
  }
}, 90_000);

afterAll(async () => {
  await Promise.all([east, west, far].map((mesh) => mesh?.end()));
  rmSync(files, { recursive: true, force: true });
});

/** The answer of a mesh's `web` to a workload of another. */
async function answer(of: Mesh, to: Mesh, account = "caller"): Promise<string> {
  const svid = await svidOf(await controlPlaneOf(of), account, { joinToken: await joinToken(of, account) });
  const at = webs.get(to)!.ready.addresses.inbound;
  const options = { cert: svid.certificateChainPem, key: svid.privateKeyPem, servername: SNI };
  return (await tryTls(at, options)).answer;
}

test("workloads of each mesh are let in by the other, and those of a mesh that is not named are not", async () => {
  await eventually(async () => (await answer(east, west)) === "HTTP/1.1 200 OK");
  await eventually(async () => (await answer(west, east)) === "HTTP/1.1 200 OK");
  for (const to of [east, west]) {
    expect(await answer(far, to)).toBe("");
    expect(await answer(to, to)).toBe("HTTP/1.1 200 OK");
  }
}, 60_000);

test("a policy knows them by their trust domain", async () => {
  await west.apply(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: east}
spec: {rules: [{from: [{source: {principals: [east.example/ns/default/sa/caller]}}]}]}
`);
  await eventually(async () => (await answer(east, west, "other")) === "HTTP/1.1 403 Forbidden");
  expect(await answer(east, west)).toBe("HTTP/1.1 200 OK");
  expect(await answer(west, west)).toBe("HTTP/1.1 403 Forbidden");
}, 60_000);

test("an application calls a service of the other mesh by name, and knows by its id whom it reaches", async () => {
  const { host, port } = webs.get(west)!.ready.addresses.inbound;
  const entry = (account: string): string => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web-west}
spec:
  hosts: [web.west.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 8080, name: http, protocol: HTTP}]
  subjectAltNames: ["spiffe://west.example/ns/default/sa/${account}"]
  endpoints: [{address: ${host}, ports: {http: ${port}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web-west}
spec:
  host: web.west.example
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: "${SNI}"}}
`;
  await east.apply(entry("web"));
  const caller = await east.run({ service: "caller" });
  const ask = async (): Promise<number> =>
    (await call(urlOf(caller.ready.addresses.outbound), { headers: { host: "web.west.example:8080" } }))
      .status;
  await eventually(async () => (await ask()) === 200, 20_000);
  await east.apply(entry("somebody-else"));
  await eventually(async () => (await ask()) === 503, 20_000);
}, 60_000);
