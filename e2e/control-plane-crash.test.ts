import { findKind } from "@tulle/api";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { freePort } from "../packages/cli/src/launcher/free-port.js";
import { askWeb, call, type WebAnswer } from "./support/http.js";
import { pause, underLoad } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { clusterOf, type Workload } from "./support/workload.js";

// The control plane is killed; what runs goes on, what restarts comes back from disk, and so does the control plane.

const RATE = 300;
const STRICT = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
`;
const PINNED = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - match: [{headers: {version: {exact: v2}}}]
    route: [{destination: {host: web, subset: v2}}]
  - route: [{destination: {host: web, subset: v1}}]
`;

const V2 = { headers: { version: "v2" } };

let mesh: Mesh;
let caller: Workload;
/** Options of the instance of v2: fixed ports, so that callers find it again after a restart. */
let v2Args: readonly string[];
let v2: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  await mesh.apply(STRICT + "---" + PINNED);
  const [appPort, inboundPort] = [await freePort(), await freePort()];
  v2Args = ["--version", "v2", "--port", String(appPort), "--inbound-port", String(inboundPort)];
  const started = await Promise.all([
    mesh.run({ service: "web", name: "web-v1", args: ["--version", "v1"] }),
    mesh.run({ service: "web", name: "web-v2", args: v2Args }),
    mesh.sidecar({ service: "caller", args: ["--upstream", "web:8080"] }),
  ]);
  v2 = started[1];
  caller = started[2];
  await caller.knows(clusterOf("web", "v1"), 1);
  await caller.knows(clusterOf("web", "v2"), 1);
}, 60_000);

afterAll(() => mesh.end());

function ask(from: Workload, headers: Record<string, string> = {}): Promise<WebAnswer> {
  return askWeb(from.upstream("web:8080"), { headers });
}

/** The instance that answers, and that it was called over mutual TLS by `caller`. */
async function servedBy(from: Workload, version: "v1" | "v2"): Promise<void> {
  const answer = await ask(from, { version });
  expect(answer.instance).toBe(`web-${version}`);
  expect(answer.headers["x-forwarded-client-cert"]).toContain(
    "URI=spiffe://cluster.local/ns/default/sa/caller",
  );
}

test("callers see no failure when the control plane is killed under load, and not when it comes back", async () => {
  const url = caller.upstream("web:8080");
  const before = await mesh.client.info();
  const result = await underLoad({ name: "control-plane-crash", url, requestsPerSecond: RATE }, async () => {
    await pause(1500);
    mesh.control.kill9();
    await mesh.control.exited;
    await pause(3000);
    await mesh.startControlPlane();
    await pause(1500);
  });
  expect(result.errors).toEqual([]);
  expect(result.failures).toBe(0);
  expect(result.requests).toBeGreaterThan(0.8 * 6 * RATE);
  expect(await mesh.client.info()).toEqual(before);
}, 60_000);

test("the control plane has registrations, configuration and its authority again after it was killed", async () => {
  const before = await mesh.client.info();
  mesh.control.kill9();
  await mesh.control.exited;
  await mesh.startControlPlane();
  // Asked at once: nobody has had the time to register again.
  const instances = await mesh.client.registry.health("web");
  expect(instances.map(({ Service }) => Service.ID).sort()).toEqual(["web-v1", "web-v2"]);
  const kind = findKind("networking.istio.io", "VirtualService")!;
  const kept = await mesh.client.resources.get(kind, { name: "web" });
  expect(kept.spec).toMatchObject({ hosts: ["web"] });
  expect((await mesh.client.info()).rootCertificatePem).toBe(before.rootCertificatePem);

  // Sidecars come back with the certificates that they have.
  const serial = await caller.certificateSerial();
  await eventually(async () => {
    const { proxies } = await mesh.client.status();
    return (
      proxies.length === 3 && proxies.every(({ types }) => types.every(({ state }) => state === "synced"))
    );
  }, 20_000);
  expect(await caller.certificateSerial()).toBe(serial);

  // And what changes now still reaches them.
  await mesh.apply(PINNED.replace("subset: v1", "subset: v2"));
  await eventually(async () => (await ask(caller)).instance === "web-v2");
  await mesh.apply(PINNED);
  await eventually(async () => (await ask(caller)).instance === "web-v1");
}, 60_000);

test("sidecars that restart while the control plane is down serve with mutual TLS from their state directories", async () => {
  mesh.control.kill9();
  await mesh.control.exited;
  caller.process.kill9();
  v2.process.kill9();
  await Promise.all([caller.process.exited, v2.process.exited]);
  // It announces its readiness when it is registered, which has to wait; serving has not.
  const served = mesh.launch({ service: "web", name: "web-v2", args: v2Args });
  const restarted = await mesh.sidecar({ service: "caller", args: ["--upstream", "web:8080"] });
  await servedBy(restarted, "v1");
  await eventually(async () => (await call(restarted.upstream("web:8080"), V2)).status === 200);
  await servedBy(restarted, "v2");
  expect(served.running).toBe(true);

  // Once the control plane is back it registers.
  await mesh.startControlPlane();
  await eventually(async () => (await mesh.client.status()).proxies.length === 3, 20_000);
  const instances = await mesh.client.registry.health("web", { passing: true });
  expect(instances.map(({ Service }) => Service.ID).sort()).toEqual(["web-v1", "web-v2"]);
}, 60_000);
