import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";

import { call } from "./support/http.js";
import { pause, underLoad } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { withoutRetries } from "./support/rules.js";
import { clusterOf, type Workload } from "./support/workload.js";

// A sidecar is replaced by a process of what is installed now: its application goes on, and so does everybody who calls it or
// whom it calls.

const RATE = 200;
const SOCKET = [process.execPath, fileURLToPath(new URL("support/apps/socket.mjs", import.meta.url))];

let mesh: Mesh;
let web: Workload;
let socket: Workload;
let caller: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  await mesh.apply(withoutRetries("web"));
  web = await mesh.run({ service: "web", environment: { DELAY_MS: "20", EXIT_CODE: "7" } });
  await mesh.run({ service: "slow", environment: { DELAY_MS: "4000" }, healthPath: "" });
  socket = await mesh.run({ service: "socket", command: SOCKET });
  const upstreams = ["web", "slow", "socket"].flatMap((name) => ["--upstream", `${name}:8080`]);
  caller = await mesh.sidecar({ service: "caller", args: upstreams });
  for (const name of ["web", "slow", "socket"]) await caller.knows(clusterOf(name), 1);
}, 60_000);

afterAll(() => mesh.end());

interface ServerInfo {
  readonly state: string;
  readonly command_line_options: { readonly restart_epoch: number };
}

async function epochOf(workload: Workload): Promise<number> {
  const { command_line_options } = (await workload.admin("/server_info")) as ServerInfo;
  return command_line_options.restart_epoch;
}

async function upgrade(workload: Workload, to: number): Promise<void> {
  workload.process.signal("SIGUSR2");
  await eventually(async () => (await epochOf(workload)) === to, 30_000);
}

test("both sidecars are replaced, twice, under load: no request fails, and the application notices nothing", async () => {
  const pid = web.ready.appPid;
  const instances = new Set<string>();
  const url = caller.upstream("web:8080");
  const result = await underLoad({ name: "upgrade", url, requestsPerSecond: RATE }, async () => {
    await pause(500);
    for (const epoch of [1, 2]) {
      for (const workload of [web, caller]) {
        await upgrade(workload, epoch);
        for (const { Service } of await mesh.client.registry.health("web")) instances.add(Service.ID);
        await pause(1000);
      }
    }
    await pause(2000);
  });
  expect(result.errors).toEqual([]);
  expect(result.failures).toBe(0);
  expect(result.requests).toBeGreaterThan(5 * RATE);
  expect([...instances]).toHaveLength(1);
  expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toContain("web.mjs");
  expect(
    web.process.output.match(/a new sidecar \(version [\d.]+, process \d+\) has taken over/g),
  ).toHaveLength(2);
}, 90_000);

const ask = async (name: string): Promise<number> => (await call(caller.upstream(`${name}:8080`))).status;

/** The process that took over last. */
function successorOf({ process }: Workload): number {
  return Number([...process.output.matchAll(/process (\d+)\) has taken over/g)].at(-1)?.[1]);
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("what began before goes on: an answer that takes its time, and a WebSocket, through both sidecars", async () => {
  const { host } = new URL(caller.upstream("socket:8080"));
  const talk = new WebSocket(`ws://${host}/`, ["chat"], { perMessageDeflate: false });
  const heard: string[] = [];
  talk.on("message", (data: Buffer) => heard.push(data.toString()));
  let closed: string | undefined;
  talk.on("close", (code: number, reason: Buffer) => (closed = `${code} ${reason.toString()}`));
  await eventually(() => talk.readyState === WebSocket.OPEN);
  const slow = ask("slow");
  await Promise.all([upgrade(caller, 3), upgrade(socket, 1)]);
  expect(await slow).toBe(200);
  // Long after the former ones would have drained at their end.
  for (let time = 0; time < 8; time++) {
    talk.send(`message ${time}`);
    await eventually(() => heard.includes(`message ${time}`));
    await pause(800);
  }
  expect(closed).toBeUndefined();
  talk.close(1000, "bye");
  await eventually(() => closed !== undefined);
  expect(closed).toBe("1000 bye");
}, 60_000);

test("where a new sidecar does not get ready the present one goes on, and says why", async () => {
  const path = join(mesh.directory, "state", "caller", "format.json");
  const before = readFileSync(path, "utf8");
  writeFileSync(path, '{"format":1000}');
  caller.process.signal("SIGUSR2");
  await eventually(() =>
    caller.process.output.includes("no new sidecar has taken over, the present one goes on"),
  );
  expect(caller.process.output).toContain("has format 1000");
  expect(await epochOf(caller)).toBe(3);
  expect(await ask("web")).toBe(200);
  writeFileSync(path, before);
  await upgrade(caller, 4);
  expect(await ask("web")).toBe(200);
}, 60_000);

test("the workload ends as ever: it leaves the registry, drains, and nothing of it is left", async () => {
  const successor = successorOf(web);
  expect(runs(successor)).toBe(true);
  web.process.signal("SIGTERM");
  expect(await web.process.exited).toBe(7);
  expect(await mesh.client.registry.health("web")).toEqual([]);
  expect(runs(successor)).toBe(false);
});

test("a successor ends with its launcher, and the launcher with its successor", async () => {
  const orphan = successorOf(socket);
  process.kill(socket.process.pid, "SIGKILL");
  await eventually(() => !runs(orphan));
  process.kill(successorOf(caller), "SIGKILL");
  expect(await caller.process.exited).not.toBe(0);
  expect(caller.process.output).toContain("the sidecar's process has ended");
});
