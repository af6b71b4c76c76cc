import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { tryTls } from "./support/inbound-tls.js";
import { pause, report, underLoad } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { clusterOf, type Workload } from "./support/workload.js";

// Certificates that live for ten seconds: every sidecar renews again and again while requests flow.

const RATE = 200;
const DURATION_MS = 26_000;
const POLL_EVERY_MS = 250;

let mesh: Mesh;
let sidecars: readonly Workload[];
let caller: Workload;

beforeAll(async () => {
  mesh = await Mesh.start(["--certificate-ttl", "10s"]);
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
`);
  sidecars = await Promise.all([
    mesh.sidecar({ service: "caller", args: ["--upstream", "web:8080"] }),
    mesh.run({ service: "web", name: "web-a" }),
    mesh.run({ service: "web", name: "web-b" }),
  ]);
  caller = sidecars[0]!;
  await caller.knows(clusterOf("web"), 2);
}, 60_000);

afterAll(() => mesh.end());

test("every sidecar renews its certificate at least twice in 26 s of load, and no request fails", async () => {
  const serials = sidecars.map(() => new Set<string>());
  const url = caller.upstream("web:8080");
  const result = await underLoad({ name: "rotation", url, requestsPerSecond: RATE }, async () => {
    const end = performance.now() + DURATION_MS;
    while (performance.now() < end) {
      for (const [i, sidecar] of sidecars.entries()) serials[i]!.add(await sidecar.certificateSerial());
      await pause(POLL_EVERY_MS);
    }
  });
  report(
    "rotation",
    sidecars.map(({ name }, i) => `${name} had ${serials[i]!.size} certificates`).join(", "),
  );
  expect(result.errors).toEqual([]);
  expect(result.failures).toBe(0);
  expect(result.requests).toBeGreaterThan(0.8 * (DURATION_MS / 1000) * RATE);
  for (const seen of serials) expect(seen.size).toBeGreaterThanOrEqual(3);
  // New connections get the certificate of the moment, not the one that the listener began with.
  for (const sidecar of sidecars.slice(1)) {
    await eventually(async () => {
      const { serial } = await tryTls(sidecar.ready.addresses.inbound, {});
      return serial !== "" && serial === (await sidecar.certificateSerial());
    });
  }
}, 60_000);
