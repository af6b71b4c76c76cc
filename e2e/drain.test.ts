import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { pause, underLoad } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { withoutRetries } from "./support/rules.js";
import { clusterOf, type Workload } from "./support/workload.js";

// An instance that is told to end loses no request: it leaves the registry, finishes what it has, then ends.

const RATE = 200;
/** A slow handler: at any time about twenty requests are under way, and none may be cut. */
const APP = { environment: { DELAY_MS: "100", EXIT_CODE: "7" } };

let mesh: Mesh;
let caller: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  await mesh.apply(withoutRetries("web"));
  caller = await mesh.sidecar({ service: "caller", args: ["--upstream", "web:8080"] });
}, 60_000);

afterAll(() => mesh.end());

const start = (name: string): Promise<Workload> => mesh.run({ service: "web", name, ...APP });

async function registered(): Promise<readonly string[]> {
  return (await mesh.client.registry.health("web")).map(({ Service }) => Service.ID).sort();
}

test("run drains on SIGTERM: no request fails, it deregisters and ends with the application's code", async () => {
  const [leaving, staying] = await Promise.all([start("leaving"), start("staying")]);
  await caller.knows(clusterOf("web"), 2);
  let code = -1;
  const url = caller.upstream("web:8080");
  const result = await underLoad({ name: "drain", url, requestsPerSecond: RATE }, async () => {
    await pause(1500);
    leaving.process.signal("SIGTERM");
    code = await leaving.process.exited;
    expect(await registered()).toEqual(["staying"]);
    await pause(1500);
  });
  expect(result.errors).toEqual([]);
  expect(result.failures).toBe(0);
  expect(result.requests).toBeGreaterThan(0.8 * 3 * RATE);
  expect(result.instances.get("leaving")).toBeGreaterThan(RATE / 2);
  expect(code).toBe(7);
  expect(await staying.process.stop()).toBe(7);
  await caller.knows(clusterOf("web"), 0);
}, 60_000);

test("a rolling restart of both instances loses no request", async () => {
  const before = await Promise.all([start("old-a"), start("old-b")]);
  await caller.knows(clusterOf("web"), 2);
  const url = caller.upstream("web:8080");
  const result = await underLoad({ name: "rolling-restart", url, requestsPerSecond: RATE }, async () => {
    await pause(1000);
    for (const old of before) {
      await start(old.name.replace("old", "new"));
      old.process.signal("SIGTERM");
      expect(await old.process.exited).toBe(7);
    }
    await pause(1000);
  });
  expect(result.errors).toEqual([]);
  expect(result.failures).toBe(0);
  expect(result.requests).toBeGreaterThan(0.8 * 3 * RATE);
  for (const name of ["old-a", "old-b", "new-a", "new-b"]) {
    expect(result.instances.get(name)).toBeGreaterThan(RATE / 10);
  }
  expect(await registered()).toEqual(["new-a", "new-b"]);
  expect((await call(url)).status).toBe(200);
}, 90_000);
