import { writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { tryTls } from "./support/inbound-tls.js";
import { pause, underLoad } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { withoutRetries } from "./support/rules.js";
import { clusterOf, urlOf, type Workload } from "./support/workload.js";

// Two threads carry the traffic of every sidecar here; what they count and limit, they count and limit together.

const FAILING_WORKER = new URL("support/apps/failing-worker.mjs", import.meta.url).href;
const WORKERS = ["--workers", "2"];
const SLOW_MS = 1500;
const LIMIT = 4;
const SNI = "outbound_.8080_._.web.default.svc.cluster.local";
const RATE = 200;

let mesh: Mesh;
let web: Workload;
let caller: Workload;

beforeAll(async () => {
  mesh = await Mesh.start(["--certificate-ttl", "10s"]);
  await mesh.apply(`${withoutRetries("web")}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: slow}
spec:
  host: slow
  trafficPolicy: {connectionPool: {http: {http2MaxRequests: ${LIMIT}}}}
`);
  [web, caller] = await Promise.all([
    mesh.run({ service: "web", args: WORKERS }),
    mesh.sidecar({
      service: "caller",
      args: [...WORKERS, "--upstream", "web:8080", "--upstream", "slow:8080", "--upstream", "echo:8080"],
    }),
  ]);
  await caller.knows(clusterOf("web"), 1);
}, 60_000);

afterAll(() => mesh.end());

/** Requests at the same time, each on a connection of its own. */
function calls(url: string, count: number): Promise<readonly number[]> {
  return Promise.all(Array.from({ length: count }, async () => (await call(url)).status));
}

/** The sum of a metric's series whose labels contain `labels`. */
async function metric(workload: Workload, name: string, labels = ""): Promise<number> {
  const series = (await workload.metrics()).split("\n").filter((line) => line.startsWith(`${name}{`));
  return series
    .filter((line) => line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

async function connectionsByWorker(workload: Workload): Promise<readonly number[]> {
  const name = "envoy_listener_worker_downstream_cx_total";
  const of = (id: number): Promise<number> => metric(workload, name, `envoy_worker_id="${id}"`);
  return [await of(0), await of(1)];
}

test("both workers serve, and the metrics of both sides count every request once", async () => {
  const requests = 60;
  const before = await connectionsByWorker(caller);
  const statuses = await calls(caller.upstream("web:8080"), requests);
  expect(statuses).toEqual(statuses.map(() => 200));
  const after = await connectionsByWorker(caller);
  const shares = after.map((count, worker) => count - before[worker]!);
  // The kernel spreads by a hash: 5 of 60 or fewer at one worker happens once in 10^11 runs.
  expect(Math.min(...shares)).toBeGreaterThan(5);
  expect(shares[0]! + shares[1]!).toBe(requests);
  expect(await metric(caller, "istio_requests_total", 'destination_workload="web"')).toBe(requests);
  expect(await metric(caller, "istio_request_duration_milliseconds_count")).toBe(requests);
  await eventually(async () => (await metric(web, "istio_requests_total")) === requests);
});

test("a service that a request names is there for both workers", async () => {
  const url = urlOf(caller.ready.addresses.outbound);
  const byHost = async (): Promise<number> => (await call(url, { headers: { host: "web:8080" } })).status;
  const statuses = await Promise.all(Array.from({ length: 20 }, byHost));
  expect(statuses).toEqual(statuses.map(() => 200));
});

test("the admin interface answers for the whole process", async () => {
  expect(await caller.admin("/server_info")).toMatchObject({ command_line_options: { concurrency: 2 } });
  const { hostname, port } = new URL(caller.upstream("web:8080"));
  const sockets = Array.from({ length: 20 }, () => connect(Number(port), hostname));
  const open = async (): Promise<number | undefined> => {
    const { listener_statuses: all } = (await caller.admin("/listeners?format=json")) as {
      readonly listener_statuses: readonly { readonly name: string; readonly connections: number }[];
    };
    return all.find(({ name }) => name === "upstream web:8080")?.connections;
  };
  await eventually(async () => (await open()) === sockets.length);
  for (const socket of sockets) socket.destroy();
  await eventually(async () => (await open()) === 0);
});

test("a circuit breaker's limit holds over both workers", async () => {
  const slow = await mesh.run({
    service: "slow",
    args: WORKERS,
    environment: { DELAY_MS: String(SLOW_MS) },
  });
  await caller.knows(clusterOf("slow"), 1);
  // In flight everywhere at the same time: the ones that are let in outlast the arrival of all others.
  const statuses = await calls(caller.upstream("slow:8080"), 24);
  const served = statuses.filter((status) => status === 200).length;
  expect(served).toBeGreaterThanOrEqual(LIMIT);
  // Two workers that look at the very same time may both let one in.
  expect(served).toBeLessThanOrEqual(LIMIT + 1);
  expect(statuses.filter((status) => status === 503)).toHaveLength(24 - served);
  expect(await metric(caller, "istio_requests_total", 'response_flags="UO"')).toBe(24 - served);
  await slow.process.stop();
}, 30_000);

test("bytes are carried by both workers", async () => {
  const command = [process.execPath, "-e", ECHO];
  const options = { service: "echo", healthPath: "", args: [...WORKERS, "--protocol", "tcp"], command };
  const echo = await mesh.run(options);
  await caller.knows(clusterOf("echo"), 1);
  const { hostname, port } = new URL(caller.upstream("echo:8080"));
  const texts = Array.from({ length: 20 }, (_, index) => `hello ${index}`);
  expect(await Promise.all(texts.map((text) => echoOf(connect(Number(port), hostname), text)))).toEqual(
    texts,
  );
  await eventually(async () => (await metric(echo, "istio_tcp_connections_closed_total")) === texts.length);
  expect(Math.min(...(await connectionsByWorker(echo)))).toBeGreaterThan(0);
  await echo.process.stop();
}, 30_000);

const ECHO = `require("node:net").createServer({ allowHalfOpen: true }, (s) => s.pipe(s)).listen(process.env.PORT, "127.0.0.1")`;

async function echoOf(socket: Socket, text: string): Promise<string> {
  socket.end(text);
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

test("certificates rotate in both workers, and an instance drains and ends with its code: no request fails", async () => {
  const leaving = await mesh.run({
    service: "web",
    name: "leaving",
    args: WORKERS,
    environment: { DELAY_MS: "50", EXIT_CODE: "7" },
  });
  await caller.knows(clusterOf("web"), 2);
  const serials = new Set<string>();
  let code = -1;
  const url = caller.upstream("web:8080");
  const result = await underLoad({ name: "workers", url, requestsPerSecond: RATE }, async () => {
    const end = performance.now() + 12_000;
    while (performance.now() < end) {
      serials.add(await web.certificateSerial());
      await pause(250);
    }
    leaving.process.signal("SIGTERM");
    code = await leaving.process.exited;
    await pause(1000);
  });
  expect(result.errors).toEqual([]);
  expect(result.failures).toBe(0);
  expect(result.instances.get("leaving")).toBeGreaterThan(RATE);
  expect(serials.size).toBeGreaterThanOrEqual(2);
  expect(code).toBe(7);
  // Whichever worker takes a connection, it shows the certificate of the moment.
  await eventually(async () => {
    const now = await web.certificateSerial();
    const shown = await Promise.all(
      Array.from(
        { length: 12 },
        async () => (await tryTls(web.ready.addresses.inbound, { servername: SNI })).serial,
      ),
    );
    return shown.every((serial) => serial === now);
  });
}, 60_000);

test("a worker that fails ends the workload in order: deregistered, the application too, with the worker's error", async () => {
  const when = join(mesh.directory, "fail");
  const failing = await mesh.run({
    service: "failing",
    args: WORKERS,
    environment: { NODE_OPTIONS: `--import ${FAILING_WORKER}`, FAIL_WHEN: when },
  });
  const registered = async (): Promise<number> => (await mesh.client.registry.health("failing")).length;
  expect(await registered()).toBe(1);
  writeFileSync(when, "");
  expect(await failing.process.exited).toBe(70);
  expect(failing.process.output).toMatch(
    /worker \d has failed, and the sidecar ends with it\nError: this worker was told to fail\n/,
  );
  expect(await registered()).toBe(0);
  expect(() => process.kill(failing.ready.appPid!, 0)).toThrow("ESRCH");
}, 30_000);

test("a port that another sidecar shares with its workers is not free", async () => {
  const { port } = caller.ready.addresses.outbound;
  const second = mesh.launch({ service: "second", args: [...WORKERS, "--outbound-port", String(port)] });
  expect(await second.exited).not.toBe(0);
  expect(second.output).toContain(`the outbound listener cannot listen on 127.0.0.1:${port} (EADDRINUSE)`);
});
