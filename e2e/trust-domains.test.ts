import { readFileSync } from "node:fs";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { tryTls } from "./support/inbound-tls.js";
import { underLoad } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { controlPlaneOf, joinToken, svidOf } from "./support/svid.js";
import { clusterOf, type Workload } from "./support/workload.js";

// A mesh gets another name while requests flow, as docs/identity.md says: the new one as an alias first, then the two swapped.

const SNI = "outbound_.8080_._.web.default.svc.cluster.local";
const HTTP = ["--protocol", "http"];
const NAMES = ["old.example", "new.example"] as const;
const options = (name: string, alias?: string): readonly string[] => [
  "--certificate-ttl",
  "10s",
  "--trust-domain",
  name,
  ...(alias === undefined ? [] : ["--trust-domain-aliases", alias]),
];

let mesh: Mesh;
let caller: Workload;
let web: Workload;

beforeAll(async () => {
  mesh = await Mesh.start(options("old.example"));
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web}
spec: {rules: [{from: [{source: {principals: [old.example/ns/default/sa/caller]}}]}]}
`);
  [caller, web] = await Promise.all([
    mesh.sidecar({ service: "caller", args: ["--upstream", "web:8080"] }),
    mesh.run({ service: "web", args: HTTP }),
  ]);
  await caller.knows(clusterOf("web"), 1);
}, 60_000);

afterAll(() => mesh.end());

interface Certificates {
  readonly certificates: readonly {
    readonly cert_chain: readonly { readonly subject_alt_names: readonly { readonly uri: string }[] }[];
  }[];
}

async function idOf(workload: Workload): Promise<string> {
  const { certificates } = (await workload.admin("/certs")) as Certificates;
  return certificates[0]?.cert_chain[0]?.subject_alt_names[0]?.uri ?? "";
}

/** Whether a sidecar has kept whom to trust under a name. */
function knows({ name }: Workload, trustDomain: string): boolean {
  return readFileSync(join(mesh.directory, "state", name, "identity.json"), "utf8").includes(trustDomain);
}

/** What `web` answers to a workload that has just joined. */
async function answerTo(account: string, to: Workload): Promise<string> {
  const svid = await svidOf(await controlPlaneOf(mesh), account, {
    joinToken: await joinToken(mesh, account),
  });
  const options = { cert: svid.certificateChainPem, key: svid.privateKeyPem, servername: SNI };
  return (await tryTls(to.ready.addresses.inbound, options)).answer;
}

async function restart(args: readonly string[]): Promise<void> {
  await mesh.control.stop();
  await mesh.startControlPlane(args);
}

test("a mesh is renamed under load: no request fails, and policies mean the same accounts", async () => {
  const [old, next] = NAMES;
  const before = await mesh.client.info();
  const url = caller.upstream("web:8080");
  const result = await underLoad({ name: "renaming", url, requestsPerSecond: 50 }, async () => {
    await restart(options(old, next));
    await eventually(async () => {
      const { proxies, authority } = await mesh.client.status();
      return (
        proxies.length === 2 &&
        authority.unacknowledged?.length === 0 &&
        knows(caller, next) &&
        knows(web, next)
      );
    }, 20_000);
    await restart(options(next, old));
    // Who joins now has the new name, and both are let in by those who have the old one.
    const late = await mesh.run({ service: "web", name: "web-late", args: HTTP });
    await eventually(async () => (await answerTo("caller", web)) === "HTTP/1.1 200 OK", 20_000);
    expect(await answerTo("other", web)).toBe("HTTP/1.1 403 Forbidden");
    expect(await answerTo("caller", late)).toBe("HTTP/1.1 200 OK");
    expect(await idOf(late)).toBe(`spiffe://${next}/ns/default/sa/web`);
    await caller.knows(clusterOf("web"), 2);
    // Those who run already renew under the name that they have.
    const serial = await web.certificateSerial();
    await eventually(async () => (await web.certificateSerial()) !== serial, 20_000);
    expect(await idOf(web)).toBe(`spiffe://${old}/ns/default/sa/web`);
  });
  expect(result.errors).toEqual([]);
  expect(result.failures).toBe(0);
  expect([...result.instances.keys()].sort()).toEqual(["web", "web-late"]);
  // One authority all the time.
  expect((await mesh.client.info()).rootCertificatePem).toBe(before.rootCertificatePem);
}, 120_000);

test("without the alias the former name is nobody's, in certificates and in policies", async () => {
  await restart(options("new.example"));
  const last = await mesh.run({ service: "web", name: "web-last", args: HTTP });
  // The policy names an account of old.example, which is another mesh's now.
  expect(await answerTo("caller", last)).toBe("HTTP/1.1 403 Forbidden");
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web}
spec: {rules: [{from: [{source: {principals: [new.example/ns/default/sa/caller]}}]}]}
`);
  await eventually(async () => (await answerTo("caller", last)) === "HTTP/1.1 200 OK");
  const { certificateChainPem: cert, privateKeyPem: key } = JSON.parse(
    readFileSync(join(mesh.directory, "state", "caller", "identity.json"), "utf8"),
  ) as { certificateChainPem: string; privateKeyPem: string };
  expect((await tryTls(last.ready.addresses.inbound, { cert, key, servername: SNI })).answer).toBe("");
}, 60_000);
