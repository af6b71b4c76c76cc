import { readFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { pause, report } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { clusterOf, type Workload } from "./support/workload.js";

/** V8 gives back what starting took after eight seconds without much to do, later on a busy machine. */
const SETTLING_MS = 30_000;
const LOOK_EVERY_MS = 1000;
/** What it is to settle at, and what fails: on a busy machine V8 gives back later what starting took. */
const GOAL_MB = 58;
const LIMIT_MB = 60;

let mesh: Mesh;
let idle: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  await mesh.run({ service: "web" });
  // In a mesh as it is used: with an upstream, its certificate and its configuration.
  idle = await mesh.sidecar({ service: "caller", args: ["--upstream", "web:8080"] });
  await idle.knows(clusterOf("web"), 1);
}, 60_000);

afterAll(() => mesh.end());

/** Resident memory of a process, in millions of bytes. */
function residentMb(pid: number): number {
  const [, kib = ""] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return (Number.parseInt(kib, 10) * 1024) / 1e6;
}

test(`an idle sidecar takes ${LIMIT_MB} MB at most`, async () => {
  const startedMs = performance.now();
  const begin = residentMb(idle.process.pid);
  let settled: number;
  let afterMs: number;
  do {
    await pause(LOOK_EVERY_MS);
    settled = residentMb(idle.process.pid);
    afterMs = performance.now() - startedMs;
  } while (settled > GOAL_MB && afterMs < SETTLING_MS);
  report(
    "idle-memory",
    `${begin.toFixed(1)} MB at first, ${settled.toFixed(1)} MB after ${(afterMs / 1000).toFixed(0)} s`,
  );
  expect(settled).toBeGreaterThan(10);
  expect(settled).toBeLessThanOrEqual(LIMIT_MB);
}, 60_000);
