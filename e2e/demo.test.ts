import { randomUUID } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { DemoSummary } from "../packages/cli/src/demo/summary.js";
import { pause, report } from "./support/load.js";
import { processesWith } from "./support/processes.js";
import { TulleProcess } from "./support/tulle-process.js";

// The demo's whole story, as a newcomer sees it.

const MARK = "TULLE_E2E_MARK";
/** The demo starts this many processes: control plane, visitor, and six instances with an application each. */
const PROCESSES = 1 + 1 + 2 * 6;

let mark: string;
let directory: string;

beforeEach(() => {
  mark = randomUUID();
  directory = mkdtempSync(join(tmpdir(), "tulle-e2e-demo-"));
});

afterEach(() => {
  for (const pid of processesWith(MARK, mark)) process.kill(pid, "SIGKILL");
  rmSync(directory, { recursive: true, force: true });
});

function startDemo(...args: readonly string[]): TulleProcess {
  const temporary = { TMPDIR: directory, HOME: directory, XDG_STATE_HOME: directory, [MARK]: mark };
  const environment = { ...process.env, ...temporary };
  return new TulleProcess(
    { args: ["demo", ...args], environment, logFile: join(directory, "output.log") },
    { announces: false },
  );
}

/** Every process that the demo started, itself included, and what it left in its temporary directory. */
function leftBehind(): { readonly processes: readonly number[]; readonly files: readonly string[] } {
  const files = readdirSync(directory).filter((name) => name !== "output.log");
  return { processes: processesWith(MARK, mark), files };
}

test("demo serves every visitor over mutual TLS, keeps the split and leaves nothing behind", async () => {
  const demo = startDemo("--duration", "8s", "--json");
  const most = eventually(() => leftBehind().processes.length >= PROCESSES, 30_000);
  const code = await demo.exited;
  await most;
  const text = demo.output;
  const summary = JSON.parse(text.slice(text.indexOf("{"))) as DemoSummary;
  const { requests, failures, requestsPerSecond, firstRequestSeconds, split } = summary;
  report(
    "demo",
    `first request ${firstRequestSeconds} s, ${requests} requests, ${failures} failed, ${requestsPerSecond}/s, v2 ${split.measured} of ${split.expected}`,
  );
  expect(summary.problems).toEqual([]);
  expect(summary.ok).toBe(true);
  expect(code).toBe(0);
  expect(failures).toBe(0);
  expect(requests).toBeGreaterThan(600);
  expect(split.within).toBe(true);
  expect(split.requests).toBeGreaterThan(500);
  expect(summary.header.requests).toBeGreaterThan(50);
  expect(summary.header.gotV1).toBe(0);
  expect(firstRequestSeconds).toBeLessThan(10);

  const identity = (account: string): string => `spiffe://cluster.local/ns/default/sa/${account}`;
  const edges = summary.edges.map(({ from, to, version, mutualTls, caller, callee }) => {
    expect({ mutualTls, caller, callee }).toEqual({
      mutualTls: true,
      caller: identity(from),
      callee: identity(to),
    });
    return `${from} → ${to} ${version}`;
  });
  expect(edges.sort()).toEqual([
    "frontend → reviews v1",
    "frontend → reviews v2",
    "reviews → ratings v1",
    "visitor → frontend v1",
  ]);
  expect(leftBehind()).toEqual({ processes: [], files: [] });
}, 60_000);

test("demo leaves nothing behind when it is interrupted while it runs", async () => {
  const demo = startDemo("--duration", "60s", "--json");
  await eventually(() => leftBehind().processes.length >= PROCESSES, 30_000);
  await pause(1500);
  demo.signal("SIGINT");
  await demo.exited;
  expect(leftBehind()).toEqual({ processes: [], files: [] });
}, 60_000);

test("demo leaves nothing behind when it is interrupted while it starts", async () => {
  const demo = startDemo("--duration", "60s", "--json");
  // The control plane is up and the shop is starting.
  await eventually(() => leftBehind().processes.length >= 4, 30_000);
  demo.signal("SIGINT");
  await demo.exited;
  expect(leftBehind()).toEqual({ processes: [], files: [] });
}, 60_000);

test("demo leaves no process behind when it is killed with -9", async () => {
  const demo = startDemo("--duration", "60s", "--json");
  await eventually(() => leftBehind().processes.length >= PROCESSES, 30_000);
  demo.signal("SIGKILL");
  await demo.exited;
  // Its temporary directory stays: nobody is left to remove it.
  await eventually(() => leftBehind().processes.length === 0, 15_000);
}, 60_000);
