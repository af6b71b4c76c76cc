import { Agent } from "node:http";

import { afterAll, beforeAll, expect, test } from "vitest";

import { report } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { clusterOf, type Workload } from "./support/workload.js";

// An instance that turns unhealthy is gone from every sidecar soon after the registry knows.

const SIDECARS = 4;
const ROUNDS = 20;
const HEALTHY = "127.0.0.1:9001";
const FLAPPING = "127.0.0.1:9002";

let mesh: Mesh;
let sidecars: readonly Workload[];
const agent = new Agent({ keepAlive: true });

beforeAll(async () => {
  mesh = await Mesh.start();
  await register("healthy", 9001);
  await register("flapping", 9002);
  const names = Array.from({ length: SIDECARS }, (_, i) => `caller-${i}`);
  sidecars = await Promise.all(
    names.map((name) => mesh.sidecar({ service: "caller", name, args: ["--upstream", "web:8080"] })),
  );
  await Promise.all(sidecars.map((sidecar) => sidecar.knows(clusterOf("web"), 2)));
}, 60_000);

afterAll(async () => {
  agent.destroy();
  await mesh.end();
});

function register(id: string, port: number): Promise<void> {
  return mesh.client.registry.register({
    ID: id,
    Name: "web",
    Address: "127.0.0.1",
    Port: port,
    Meta: { "tulle-service-port": "8080", "tulle-protocol": "http" },
    Check: { CheckID: `check-${id}`, TTL: "10m", Status: "passing" },
  });
}

/** Milliseconds from `since` until the sidecar's `/clusters` shows, or no longer shows, the flapping instance as healthy. */
async function seenAfter(sidecar: Workload, shown: boolean, since: number): Promise<number> {
  for (;;) {
    const healthy = await sidecar.endpoints(clusterOf("web"), { agent });
    const elapsedMs = performance.now() - since;
    if (!healthy.includes(HEALTHY)) throw new Error(`${sidecar.name} lost the healthy instance`);
    if (healthy.includes(FLAPPING) === shown) return elapsedMs;
    if (elapsedMs > 5000) throw new Error(`${sidecar.name} still shows ${healthy.join(", ")}`);
  }
}

/** Turns the instance over and back again and again; gives the sorted times until each sidecar has seen it go. */
async function measure(turn: (healthy: boolean) => Promise<void>): Promise<readonly number[]> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    // From before the registry hears of it, which is a little more than is asked for.
    const since = performance.now();
    const [, ...gone] = await Promise.all([
      turn(false),
      ...sidecars.map((sidecar) => seenAfter(sidecar, false, since)),
    ]);
    times.push(...gone);
    const backSince = performance.now();
    await Promise.all([turn(true), ...sidecars.map((sidecar) => seenAfter(sidecar, true, backSince))]);
  }
  return times.sort((left, right) => left - right);
}

function judge(name: string, times: readonly number[]): void {
  const p50 = times[Math.floor(times.length / 2)] ?? Infinity;
  const max = times.at(-1) ?? Infinity;
  report(name, `${times.length} removals, p50 ${p50.toFixed(1)} ms, max ${max.toFixed(1)} ms`);
  expect(times).toHaveLength(SIDECARS * ROUNDS);
  expect(p50).toBeLessThan(50);
  expect(max).toBeLessThan(200);
}

test("a critical TTL check takes an instance out of every sidecar in well under 100 ms", async () => {
  const put = async (state: string): Promise<void> => {
    const url = `${mesh.server}/v1/agent/check/${state}/check-flapping`;
    const { status } = await fetch(url, { method: "PUT" });
    expect(status).toBe(200);
  };
  judge("endpoint-propagation, check", await measure((healthy) => put(healthy ? "pass" : "fail")));
}, 60_000);

test("maintenance takes an instance out of every sidecar in well under 100 ms", async () => {
  const times = await measure((healthy) => mesh.client.registry.maintenance("flapping", !healthy));
  judge("endpoint-propagation, maintenance", times);
}, 60_000);
