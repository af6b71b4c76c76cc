import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { tryTls } from "./support/inbound-tls.js";
import { pause, report, underLoad } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { withoutRetries } from "./support/rules.js";
import { controlPlaneOf, joinToken, svidOf } from "./support/svid.js";
import { clusterOf, type Workload } from "./support/workload.js";

// Certificates that live for ten seconds: every sidecar renews again and again while requests flow and roots are replaced. Nothing
// is retried and connections serve ten requests each, so that every handshake that fails is a request that fails.

/**
 * The long run: `ROTATIONS=1000 ROTATION_SIDECARS=16 ROTATION_ROOTS=3 ROTATION_RATE=500 npx vitest run e2e/rotation.test.ts`, for
 * about six minutes.
 */
const ROTATIONS = Number(process.env["ROTATIONS"] ?? 6);
const SIDECARS = Number(process.env["ROTATION_SIDECARS"] ?? 3);
const ROOTS = Number(process.env["ROTATION_ROOTS"] ?? 1);
const RATE = Number(process.env["ROTATION_RATE"] ?? 200);
const LIFE_MS = 10_000;
const POLL_EVERY_MS = 500;
/** Twice as long as it takes when everybody renews at half of its life. */
const DEADLINE_MS = 2 * (ROTATIONS / SIDECARS) * (LIFE_MS / 2) + 30_000;
const SNI = "outbound_.8080_._.web.default.svc.cluster.local";

let mesh: Mesh;
let sidecars: readonly Workload[];
let caller: Workload;
let web: Workload;

beforeAll(async () => {
  mesh = await Mesh.start(["--certificate-ttl", `${LIFE_MS}ms`]);
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 10}}}}
---${withoutRetries("web")}`);
  caller = await mesh.sidecar({ service: "caller", args: ["--upstream", "web:8080"] });
  const webs: Workload[] = [];
  for (let n = 1; n < SIDECARS; n++) webs.push(await mesh.run({ service: "web", name: `web-${n}` }));
  sidecars = [caller, ...webs];
  web = webs[0]!;
  await caller.knows(clusterOf("web"), webs.length);
}, 120_000);

afterAll(() => mesh.end());

async function signingRoot(): Promise<string> {
  const { authority } = await mesh.client.status();
  return authority.certificates?.find(({ phase }) => phase === "active")?.id ?? "";
}

test(
  `${ROTATIONS} certificates and ${ROOTS} root(s) are replaced under ${RATE} requests/s, and none fails`,
  async () => {
    const serials = sidecars.map(() => new Set<string>());
    const roots = new Set([await signingRoot()]);
    const renewed = (): number => serials.reduce((sum, { size }) => sum + Math.max(0, size - 1), 0);
    const url = caller.upstream("web:8080");
    const startedMs = performance.now();
    const result = await underLoad({ name: "rotation", url, requestsPerSecond: RATE }, async () => {
      let begun = 0;
      while (renewed() < ROTATIONS || roots.size <= ROOTS) {
        for (const [i, sidecar] of sidecars.entries()) serials[i]!.add(await sidecar.certificateSerial());
        roots.add(await signingRoot());
        // One after the other, spread over the run.
        if (begun < ROOTS && roots.size > begun && renewed() >= (begun * ROTATIONS) / ROOTS) {
          await mesh.client.rotateRoot();
          begun++;
        }
        if (performance.now() - startedMs > DEADLINE_MS)
          throw new Error(`${renewed()} of ${ROTATIONS} in time`);
        await pause(POLL_EVERY_MS);
      }
    });
    const fewest = Math.min(...serials.map(({ size }) => size - 1));
    report(
      "rotation",
      `${renewed()} renewals by ${SIDECARS} sidecars (each ${fewest} at least), ${roots.size - 1} root(s) replaced`,
    );
    expect(result.errors).toEqual([]);
    expect(result.failures).toBe(0);
    expect(result.requests).toBeGreaterThan((0.8 * (performance.now() - startedMs) * RATE) / 1000);
    expect(fewest).toBeGreaterThan(0);
    // New connections get the certificate of the moment, not the one that the listener began with.
    for (const sidecar of sidecars.slice(1)) {
      await eventually(async () => {
        const { serial } = await tryTls(sidecar.ready.addresses.inbound, {});
        return serial !== "" && serial === (await sidecar.certificateSerial());
      });
    }
  },
  DEADLINE_MS + 60_000,
);

test("a certificate that has ended lets nobody in from that second on", async () => {
  const svid = await svidOf(await controlPlaneOf(mesh), "late", { joinToken: await joinToken(mesh, "late") });
  const options = { cert: svid.certificateChainPem, key: svid.privateKeyPem, servername: SNI };
  const at = web.ready.addresses.inbound;
  expect((await tryTls(at, options)).answer).toBe("HTTP/1.1 200 OK");
  let lastTakenMs = 0;
  let refused = 0;
  while (refused < 3) {
    const triedMs = Date.now();
    if ((await tryTls(at, options)).answer === "") refused++;
    else lastTakenMs = triedMs;
    await pause(50);
  }
  report("rotation", `the last use of a certificate was ${svid.notAfter - lastTakenMs} ms before its end`);
  expect(lastTakenMs).toBeLessThan(svid.notAfter);
}, 40_000);
