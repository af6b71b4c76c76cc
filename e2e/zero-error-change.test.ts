import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { eventually } from "@tulle/testkit";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { pause } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { LOAD, underMixedLoad, type MixedResult, type MixedTargets } from "./support/mixed-load.js";
import { clusterOf, type Workload } from "./support/workload.js";

// Whatever changes in the mesh, callers over HTTP/1.1, HTTP/2 and gRPC notice nothing, and nothing that must happen once
// happens twice. When an instance is killed, only what was in it and may not be sent again fails, once.

const ORDERS = [process.execPath, fileURLToPath(new URL("support/apps/orders.mjs", import.meta.url))];
const PROTOCOLS = ["http1", "http2", "grpc"] as const;
type Protocol = (typeof PROTOCOLS)[number];
/** TULLE_E2E_ROUNDS: how many times everything is restarted. */
const ROUNDS = Number(process.env["TULLE_E2E_ROUNDS"] ?? 1);
/** TULLE_E2E_CHANGES: how many times the configuration changes, and TULLE_E2E_CHANGE_EVERY_MS how often. */
const CHANGES = Number(process.env["TULLE_E2E_CHANGES"] ?? 40);
const CHANGE_EVERY_MS = Number(process.env["TULLE_E2E_CHANGE_EVERY_MS"] ?? 50);
/** What an order takes: so that some are under way at any time. */
const DELAY_MS = "20";

let mesh: Mesh;
let caller: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  const upstreams = PROTOCOLS.flatMap((protocol) => ["--upstream", `${protocol}:8080`]);
  caller = await mesh.sidecar({ service: "caller", args: upstreams });
}, 60_000);

afterAll(() => mesh.end());

let ledgers = 0;

function ledger(): string {
  const file = join(mesh.directory, `ledger-${++ledgers}`);
  writeFileSync(file, "");
  return file;
}

function targets(file: string): MixedTargets {
  const [http1, http2, grpc] = PROTOCOLS.map((protocol) => caller.upstream(`${protocol}:8080`));
  return { http1: http1!, http2: http2!, grpc: grpc!, ledger: file };
}

function start(protocol: Protocol, name: string, file: string, version = "v1"): Promise<Workload> {
  return mesh.run({
    service: protocol,
    name: `${protocol}-${name}`,
    args: ["--protocol", protocol === "http1" ? "http" : protocol, "--version", version],
    command: ORDERS,
    healthPath: "",
    environment: { PROTOCOL: protocol, LEDGER: file, DELAY_MS },
  });
}

/** An instance of each protocol under each of the names; `versions` in their order. */
async function startAll(
  file: string,
  names: readonly string[],
  versions: readonly string[] = [],
): Promise<Map<string, Workload>> {
  const started = new Map<string, Workload>();
  for (const [index, name] of names.entries()) {
    const instances = PROTOCOLS.map((protocol) => start(protocol, name, file, versions[index]));
    for (const workload of await Promise.all(instances)) started.set(workload.name, workload);
  }
  return started;
}

async function known(count: number, subset = ""): Promise<void> {
  for (const protocol of PROTOCOLS) await caller.knows(clusterOf(protocol, subset), count);
}

async function stopAll(workloads: Iterable<Workload>): Promise<void> {
  await Promise.all([...workloads].map(({ process }) => process.stop()));
}

/** No instance of a test before is left. */
afterEach(() => known(0));

/** Nothing failed, nothing was lost, nothing was done twice; all of them were at work. */
function expectNothingNoticed(result: MixedResult, instances: readonly string[], seconds: number): void {
  expect(result.failed.slice(0, 5)).toEqual([]);
  expect(result.duplicated).toEqual([]);
  expect(result.lost).toEqual([]);
  expect(result.requests).toBeGreaterThan(150 * seconds);
  for (const protocol of PROTOCOLS) {
    for (const name of instances) expect(result.instances.get(`${protocol}-${name}`)).toBeGreaterThan(2);
  }
}

test(
  "a rolling restart of every instance is noticed by nobody",
  async () => {
    const file = ledger();
    let running = await startAll(file, ["0-a", "0-b"]);
    await known(2);
    const result = await underMixedLoad("rolling restart", targets(file), async () => {
      await pause(1000);
      for (let round = 1; round <= ROUNDS; round++) {
        const before = running;
        running = new Map();
        for (const name of ["a", "b"]) {
          for (const each of await startAll(file, [`${round}-${name}`])) running.set(...each);
          const leaving = PROTOCOLS.map((protocol) => before.get(`${protocol}-${round - 1}-${name}`)!);
          expect(await Promise.all(leaving.map(({ process }) => process.stop()))).toEqual([0, 0, 0]);
        }
      }
      await pause(1000);
    });
    expectNothingNoticed(result, ["0-a", "0-b", `${ROUNDS}-a`, `${ROUNDS}-b`], 4);
    await stopAll(running.values());
  },
  120_000 * ROUNDS,
);

test("scaling down to one instance is noticed by nobody", async () => {
  const file = ledger();
  const started = await startAll(file, ["a", "b", "c"]);
  await known(3);
  const result = await underMixedLoad("scale down to one", targets(file), async () => {
    await pause(1000);
    const leaving = [...started.values()].filter(({ name }) => !name.endsWith("-a"));
    await Promise.all(leaving.map(({ process }) => process.stop()));
    await known(1);
    await pause(1000);
  });
  expectNothingNoticed(result, ["a", "b", "c"], 2);
  await stopAll([...started.values()].filter(({ name }) => name.endsWith("-a")));
}, 120_000);

test("when an instance is killed only what was in it and may not be repeated fails, once", async () => {
  const file = ledger();
  const started = await startAll(file, ["victim", "survivor"], ["v2", "v2"]);
  await known(2);
  const result = await underMixedLoad("kill -9", targets(file), async () => {
    await pause(1500);
    for (const protocol of PROTOCOLS) started.get(`${protocol}-victim`)!.process.kill9();
    await pause(3000);
  });
  expect(result.failedSafe).toEqual([]);
  expect(result.duplicated).toEqual([]);
  expect(result.lost).toEqual([]);
  for (const { kind, what } of result.failed) {
    expect(`${kind}: ${what}`).toMatch(/^(?:POST|h2 POST): 50[23] |^gRPC (?:unary|stream): grpc-14 /);
  }
  // An order takes 20 ms, a stream a second: no more than these can have been in the victims when they died.
  const orders = result.failed.filter(({ kind }) => kind !== "gRPC stream").length;
  expect(orders).toBeLessThan(20 * LOAD);
  expect(result.failed.length - orders).toBeLessThan(8 * LOAD);
  await eventually(async () => (await caller.endpoints(clusterOf("http1"))).length === 1, 20_000);
  await stopAll(PROTOCOLS.map((protocol) => started.get(`${protocol}-survivor`)!));
}, 120_000);

const shift = (protocol: Protocol, weight: number, connectTimeoutMs = 5000): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${protocol}}
spec:
  hosts: [${protocol}]
  http:
  - route:
    - {destination: {host: ${protocol}, subset: v1}, weight: ${100 - weight}}
    - {destination: {host: ${protocol}, subset: v2}, weight: ${weight}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${protocol}}
spec:
  host: ${protocol}
  trafficPolicy: {connectionPool: {tcp: {connectTimeout: ${connectTimeoutMs}ms}}}
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
`;

test("a canary shift step by step, and the control plane going and coming, are noticed by nobody", async () => {
  const file = ledger();
  const started = await startAll(file, ["stable", "canary"], ["v1", "v2"]);
  const shiftTo = async (weight: number): Promise<void> => {
    await mesh.apply(PROTOCOLS.map((protocol) => shift(protocol, weight)).join("---"));
    await pause(700);
  };
  await shiftTo(1);
  for (const subset of ["v1", "v2"]) await known(1, subset);
  const result = await underMixedLoad("canary shift", targets(file), async () => {
    for (const weight of [0, 10, 50]) await shiftTo(weight);
    await mesh.control.stop();
    await pause(1000);
    await mesh.startControlPlane();
    await shiftTo(90);
    mesh.control.kill9();
    await mesh.control.exited;
    await mesh.startControlPlane();
    await shiftTo(100);
  });
  expectNothingNoticed(result, ["stable", "canary"], 5);
  await stopAll(started.values());
}, 120_000);

const policy = (protocol: Protocol, change: number): string => `
apiVersion: tulle.dev/v1
kind: TrafficPolicy
metadata: {name: ${protocol}}
spec: {host: ${protocol}, admissionControl: {window: ${10 + (change % 20)}s}}
`;

/** Routes, clusters, endpoints and filters of listeners in turn, of all services at once. */
async function change(number: number): Promise<void> {
  const apply = (yaml: (protocol: Protocol) => string): Promise<void> =>
    mesh.apply(PROTOCOLS.map(yaml).join("---"));
  const step = Math.floor(number / 4);
  switch (number % 4) {
    case 0:
      return apply((protocol) => shift(protocol, (step * 37) % 101));
    case 1:
      return apply((protocol) => shift(protocol, (step * 37) % 101, 5000 + step));
    case 2:
      for (const protocol of PROTOCOLS)
        await mesh.client.registry.maintenance(`${protocol}-reserve`, step % 2 === 0);
      return;
    default:
      return apply((protocol) => policy(protocol, step));
  }
}

test(
  `${CHANGES} changes of routes, clusters, endpoints and listeners are noticed by nobody`,
  async () => {
    const file = ledger();
    const started = await startAll(file, ["stable", "canary", "reserve"], ["v1", "v2", "v1"]);
    await mesh.apply(PROTOCOLS.map((protocol) => shift(protocol, 50)).join("---"));
    await known(2, "v1");
    await known(1, "v2");
    const result = await underMixedLoad(`${CHANGES} changes`, targets(file), async () => {
      await pause(500);
      for (let number = 0; number < CHANGES; number++) {
        await change(number);
        await pause(CHANGE_EVERY_MS);
      }
      await pause(1000);
    });
    expectNothingNoticed(result, ["stable", "canary", "reserve"], 3);
    await stopAll(started.values());
  },
  120_000 + CHANGES * (CHANGE_EVERY_MS + 500),
);
