import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { pause, underLoad } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { clusterOf, type Workload } from "./support/workload.js";

// An instance that is killed takes the requests that were in it with it; nobody may notice, as GETs can be repeated.

const RATE = 500;
/** An answer takes this long, so that some requests are in the instance when it is killed. */
const APP = { environment: { DELAY_MS: "10" } };

let mesh: Mesh;
let caller: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  caller = await mesh.sidecar({ service: "caller", args: ["--upstream", "web:8080"] });
}, 60_000);

afterAll(() => mesh.end());

async function startInstances(...names: readonly string[]): Promise<readonly Workload[]> {
  const started = await Promise.all(names.map((name) => mesh.run({ service: "web", name, ...APP })));
  await caller.knows(clusterOf("web"), names.length);
  // The first connections are made before anything is counted.
  await Promise.all(Array.from({ length: 20 }, () => call(caller.upstream("web:8080"))));
  return started;
}

/** Requests while one of two instances is killed; the other one goes on. */
async function killUnderLoad(name: string, kill: (victim: Workload) => void): Promise<void> {
  const [victim, survivor] = await startInstances(`${name}-victim`, `${name}-survivor`);
  const url = caller.upstream("web:8080");
  const result = await underLoad({ name, url, requestsPerSecond: RATE }, async () => {
    await pause(1500);
    kill(victim!);
    await pause(4000);
  });
  expect(result.errors).toEqual([]);
  expect(result.failures).toBe(0);
  expect(result.requests).toBeGreaterThan(0.8 * 5.5 * RATE);
  // Both were in use, so that the kill hit something.
  expect(result.instances.get(victim!.name)).toBeGreaterThan(RATE / 4);
  expect(result.instances.get(survivor!.name)).toBeGreaterThan(2 * RATE);
  await eventually(async () => (await caller.endpoints(clusterOf("web"))).length === 1, 15_000);
  await survivor!.process.stop();
  await caller.knows(clusterOf("web"), 0);
}

test("a caller sees no failure when an instance and its sidecar are killed", async () => {
  await killUnderLoad("kill-instance", (victim) => victim.process.kill9());
}, 60_000);

test("a caller sees no failure when an application is killed under its sidecar", async () => {
  await killUnderLoad("kill-app", (victim) => process.kill(victim.ready.appPid!, "SIGKILL"));
}, 60_000);

test("a caller sees no failure when a sidecar is killed beside its application", async () => {
  await killUnderLoad("kill-sidecar", (victim) => victim.process.signal("SIGKILL"));
}, 60_000);
