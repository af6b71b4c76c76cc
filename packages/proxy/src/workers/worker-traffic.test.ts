import { MessageChannel } from "node:worker_threads";

import { createLogger, MeshError, silentLogger, systemClock, type Clock, type Logger } from "@tulle/base";
import { createSharedLoadTable, createSnapshotSource } from "@tulle/engine";
import { LISTENER_TYPE } from "@tulle/xds";
import { eventually, FakeClock, settle } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { backend, call, closeAll, exchangeBytes, rawBackend, TestIdentity } from "../../test/harness.js";
import { serviceAt } from "../../test/resources.js";
import type { SidecarOptions } from "../options.js";
import { MetricsRegistry } from "../telemetry/metrics.js";
import { prometheusText } from "../telemetry/prometheus-text.js";
import { WorkloadTls } from "../tls/workload-tls.js";
import { SidecarConfiguration } from "../xds/sidecar-configuration.js";
import type { FromWorker, SpawnWorker, ToWorker, WorkerStart } from "./contract.js";
import { runWorker } from "./run-worker.js";
import { WorkerTraffic } from "./worker-traffic.js";

const closings: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closings.splice(0)) await close();
  await closeAll();
});

/** A worker in this thread: all but the thread is real. */
const spawnHere: SpawnWorker = (start) => {
  const { port1, port2 } = new MessageChannel();
  runWorker(port2, structuredClone(start), () => undefined);
  return {
    post: (message) => port1.postMessage(message),
    onMessage: (take) => port1.on("message", (message: FromWorker) => take(message)),
    onEnd: (ended) => port1.once("close", () => ended(undefined)),
    terminate: () => port1.close(),
  };
};

/** A worker that does what the test says. */
class ScriptedWorker {
  readonly start: WorkerStart;
  readonly posted: ToWorker[] = [];
  terminated = false;
  say: (message: FromWorker) => void = () => undefined;
  end: (error: Error | undefined) => void = () => undefined;

  constructor(start: WorkerStart) {
    this.start = start;
  }

  /** Answers the newest question of a kind, now and, with `always`, whenever it is asked. */
  answer(kind: string, answer: unknown): void {
    const asked = this.posted.findLast((message) => message.kind === "ask" && message.question.kind === kind);
    if (asked?.kind !== "ask") throw new Error(`nobody asked for ${kind}`);
    this.say({ kind: "answer", id: asked.id, answer: answer as undefined });
  }

  asked(kind: string): number {
    return this.posted.filter((message) => message.kind === "ask" && message.question.kind === kind).length;
  }
}

interface Setup {
  readonly traffic: WorkerTraffic;
  readonly configuration: SidecarConfiguration;
  readonly metrics: MetricsRegistry;
  readonly demanded: string[];
  readonly used: string[];
  readonly suspicions: unknown[];
  readonly failures: Error[];
}

interface SetupOptions {
  readonly spawn?: SpawnWorker;
  readonly options?: Partial<SidecarOptions>;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

function setup({
  spawn = spawnHere,
  options,
  clock = systemClock,
  logger = silentLogger,
}: SetupOptions): Setup {
  const load = createSharedLoadTable({ maxSlots: 64 });
  const configuration = new SidecarConfiguration(createSnapshotSource({ load }), []);
  const metrics = new MetricsRegistry();
  const demanded: string[] = [];
  const used: string[] = [];
  const suspicions: unknown[] = [];
  const failures: Error[] = [];
  const traffic = new WorkerTraffic({
    options: {
      service: "test",
      instanceId: "test-1",
      inbound: [],
      upstreams: [{ authority: "reviews:9080" }],
      ports: { outbound: 0, inbound: 0 },
      controlPlane: { xds: "127.0.0.1:1", rootCertificatePem: "" },
      stateDirectory: "",
      accessLog: "off",
      workers: 2,
      ...options,
    },
    clock,
    logger,
    metrics,
    load,
    configuration,
    tls: new WorkloadTls(new TestIdentity(), systemClock),
    onDemand: (authority) => demanded.push(authority),
    onUse: (authority) => used.push(authority),
    onSuspect: (suspicion) => suspicions.push(suspicion),
    spawn,
    onFailure: (error) => failures.push(error),
  });
  return { traffic, configuration, metrics, demanded, used, suspicions, failures };
}

/** As {@link setup}, with scripted workers that have opened their listeners. */
async function setupScripted(
  options: SetupOptions = {},
): Promise<Setup & { readonly workers: readonly ScriptedWorker[] }> {
  const workers: ScriptedWorker[] = [];
  const spawn: SpawnWorker = (start) => {
    const worker = new ScriptedWorker(start);
    workers.push(worker);
    return {
      post: (message) => worker.posted.push(message),
      onMessage: (take) => (worker.say = take),
      onEnd: (ended) => (worker.end = ended),
      terminate: () => {
        worker.terminated = true;
        worker.end(undefined);
      },
    };
  };
  const made = setup({ spawn, ...options });
  const at = { host: "127.0.0.1", port: 4000 };
  const opening = made.traffic.open();
  await settle();
  for (const worker of workers) {
    worker.answer("open", {
      upstreams: [{ ...at, port: 4001 }],
      outbound: at,
      inbound: { ...at, port: 4002 },
    });
    await settle();
  }
  for (const worker of workers) worker.answer("listeners", []);
  await opening;
  return { ...made, workers };
}

/** As {@link setup}; closed after the test. */
function setupHere(options: SetupOptions = {}): Setup {
  const made = setup(options);
  closings.push(() => made.traffic.close());
  return made;
}

async function text({ traffic, metrics }: Setup): Promise<string> {
  await traffic.collect();
  return prometheusText(metrics);
}

test("both workers carry what was configured before and after they began, and their counts add up", async () => {
  const { port } = await backend((_request, response) => response.end("hello"));
  const made = setupHere({ options: { onBusy: () => undefined } });
  made.configuration.apply(serviceAt("reviews:9080", [port]));
  const { upstreams, outbound } = await made.traffic.open();
  made.configuration.apply(serviceAt("ratings:9080", [port]));
  await made.traffic.caughtUp();
  for (let count = 0; count < 20; count++) {
    expect((await call(upstreams[0]!.port)).body).toBe("hello");
    expect((await call(outbound!.port, "/", { headers: { host: "ratings:9080" } })).body).toBe("hello");
  }
  const metrics = await text(made);
  const connections = [0, 1].map((id) =>
    Number(new RegExp(`^envoy_listener_worker_downstream_cx_total.*"${id}"} (.*)$`, "m").exec(metrics)?.[1]),
  );
  expect(connections[0]! + connections[1]!).toBe(40);
  expect(Math.min(...connections)).toBeGreaterThan(0);
  const requests = [...metrics.matchAll(/^istio_requests_total{.*} (\d+)$/gm)].map((match) =>
    Number(match[1]),
  );
  expect(requests.reduce((sum, one) => sum + one, 0)).toBe(40);
  // Each worker says once for a while that a service is in use.
  expect(made.used).toEqual(["ratings:9080", "ratings:9080"]);
  expect(await made.traffic.listeners()).toMatchObject([
    { name: "inbound", protocol: "unknown" },
    { name: "outbound", protocol: "http", address: outbound },
    { name: "upstream reviews:9080", protocol: "http", address: upstreams[0]! },
  ]);
});

test("a service that nobody has subscribed to is demanded, and what waits for it goes on", async () => {
  const { port } = await backend((_request, response) => response.end("hello"));
  const made = setupHere();
  const { outbound } = await made.traffic.open();
  const answer = call(outbound!.port, "/", { headers: { host: "reviews:9080" } });
  await eventually(() => made.demanded.length > 0);
  expect(made.demanded).toEqual(["reviews:9080"]);
  made.configuration.apply(serviceAt("reviews:9080", [port]));
  expect((await answer).body).toBe("hello");
});

test("what is forgotten here is forgotten by the workers", async () => {
  const { port } = await backend((_request, response) => response.end("hello"));
  const made = setupHere();
  made.configuration.apply(serviceAt("reviews:9080", [port]));
  const { outbound } = await made.traffic.open();
  made.configuration.forget(LISTENER_TYPE, ["reviews:9080"]);
  await made.traffic.caughtUp();
  const answer = call(outbound!.port, "/", { headers: { host: "reviews:9080" } });
  await eventually(() => made.demanded.length > 0);
  made.configuration.apply(serviceAt("reviews:9080", [port]));
  expect((await answer).status).toBe(200);
});

test("drain ends the inbound listener in every worker, and close all others", async () => {
  const made = setupHere();
  const { inbound, outbound } = await made.traffic.open();
  await made.traffic.drain();
  await expect(call(inbound!.port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  expect((await call(outbound!.port)).status).toBe(508);
  await made.traffic.close();
  await expect(call(outbound!.port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  expect(made.failures).toEqual([]);
});

test("records of the workers are written by the sidecar's log, at its level", async () => {
  const lines: string[] = [];
  const logger = createLogger({ level: "info", write: (line) => lines.push(line), now: () => 0 });
  const made = setupHere({ logger });
  const { outbound } = await made.traffic.open();
  const refused = (): Promise<string> => exchangeBytes(outbound!.port, "GET / HTTP/1.1\r\nbad field\r\n\r\n");
  expect(await refused()).toContain(" 400 ");
  await made.traffic.caughtUp();
  expect(lines).toEqual([]);
  logger.setLevel("debug");
  made.traffic.setLogLevel("debug");
  await made.traffic.caughtUp();
  expect(await refused()).toContain(" 400 ");
  await eventually(() => lines.length > 0);
  expect(JSON.parse(lines[0]!)).toMatchObject({ level: "debug", message: "request refused" });
});

test("a port in use is refused before any worker begins", async () => {
  const { port } = await rawBackend(() => undefined);
  const spawn: SpawnWorker = () => {
    throw new Error("a worker was started");
  };
  const { traffic } = setup({ spawn, options: { ports: { outbound: port, inbound: 0 } } });
  await expect(traffic.open()).rejects.toMatchObject({
    code: "PROXY_LISTEN_FAILED",
    message: expect.stringContaining(`the outbound listener cannot listen on 127.0.0.1:${port}`) as string,
  });
});

test.each([0, 1.5, 65, Number.NaN])("%s workers are refused", (workers) => {
  expect(() => setup({ options: { workers } })).toThrow("workers must be a whole number from 1 to 64");
});

test("what a worker cannot open is the sidecar's error, with its kind and code", async () => {
  const workers: ScriptedWorker[] = [];
  const spawn: SpawnWorker = (start) => {
    const worker = new ScriptedWorker(start);
    workers.push(worker);
    return {
      post: (message) => worker.posted.push(message),
      onMessage: (take) => (worker.say = take),
      onEnd: () => undefined,
      terminate: () => undefined,
    };
  };
  const opening = setup({ spawn }).traffic.open();
  await settle();
  const error = { kind: "unavailable", code: "PROXY_NO_SHARED_PORTS", message: "needs koffi" } as const;
  workers[0]!.say({ kind: "failure", id: 0, error });
  const thrown = await opening.catch((reason: unknown) => reason);
  expect(thrown).toBeInstanceOf(MeshError);
  expect(thrown).toMatchObject(error);
});

test("workers that do not open their listeners in time are ended, and there is no sidecar", async () => {
  const clock = new FakeClock();
  const workers: ScriptedWorker[] = [];
  const spawn: SpawnWorker = (start) => {
    const worker = new ScriptedWorker(start);
    workers.push(worker);
    return {
      post: (message) => worker.posted.push(message),
      onMessage: () => undefined,
      onEnd: (ended) => (worker.end = ended),
      terminate: () => worker.end(new Error("ended")),
    };
  };
  const opening = setup({ spawn, clock }).traffic.open();
  const refused = expect(opening).rejects.toMatchObject({ code: "PROXY_WORKER_ENDED" });
  await settle();
  expect(workers).toHaveLength(2);
  await clock.advance(30_000);
  await refused;
});

test("the second worker is told the ports that the first one got", async () => {
  const { workers } = await setupScripted();
  const questions = workers.map(({ posted }) => posted[0]);
  const ports = { upstreams: [0], outbound: 0, inbound: 0 };
  expect(questions).toMatchObject([
    { question: { kind: "open", ports } },
    { question: { kind: "open", ports: { upstreams: [4001], outbound: 4000, inbound: 4002 } } },
  ]);
});

test("a worker that fails ends the sidecar; one that was told to end does not", async () => {
  const failed = await setupScripted();
  failed.workers[1]!.end(new Error("out of memory"));
  expect(failed.failures.map(String)).toEqual([
    "MeshError: worker 1 has failed, and the sidecar ends with it",
  ]);
  const closed = await setupScripted();
  const closing = closed.traffic.close();
  for (const worker of closed.workers) {
    worker.answer("close", undefined);
    worker.end(undefined);
  }
  await closing;
  expect(closed.failures).toEqual([]);
});

test("a worker that cannot follow a change ends the sidecar", async () => {
  const { configuration, workers, failures } = await setupScripted();
  configuration.apply([]);
  const asked = workers[0]!.posted.at(-1);
  if (asked?.kind !== "ask") throw new Error("nothing was forwarded");
  workers[0]!.say({
    kind: "failure",
    id: asked.id,
    error: { kind: "internal", code: "BASE_UNEXPECTED", message: "cannot follow" },
  });
  await settle();
  expect(failures).toMatchObject([{ code: "PROXY_WORKER_FAILED", cause: { message: "cannot follow" } }]);
});

test("a worker that falls behind without end is ended", async () => {
  const { configuration, workers, failures } = await setupScripted();
  const change = (): unknown => configuration.apply([]);
  for (let count = 0; count < 10_000; count++) change();
  expect(workers.map(({ terminated }) => terminated)).toEqual([false, false]);
  change();
  expect(workers.map(({ terminated }) => terminated)).toEqual([true, true]);
  expect(failures).toHaveLength(2);
  await settle();
});

test("a worker that is stuck holds nobody up for long, is not asked again meanwhile, and loses no count", async () => {
  const clock = new FakeClock();
  const { traffic, metrics, workers } = await setupScripted({ clock });
  const delta = {
    added: [{ name: "c", help: "counts", type: "counter", labels: [], bounds: [] }],
    changed: Uint32Array.of(0),
    growth: Float64Array.of(3),
  };
  let collected = 0;
  const collect = (): Promise<number> => traffic.collect().then(() => collected++);
  const first = collect();
  workers[0]!.answer("metrics", delta);
  await settle();
  expect(collected).toBe(0);
  await clock.advance(1000);
  await first;
  expect(prometheusText(metrics)).toContain("c 3");
  const second = collect();
  expect(workers.map((worker) => worker.asked("metrics"))).toEqual([2, 1]);
  workers[0]!.answer("metrics", { ...delta, added: [] });
  workers[1]!.answer("metrics", delta);
  await second;
  expect(prometheusText(metrics)).toContain("c 9");

  let drained = false;
  const draining = traffic.drain().then(() => (drained = true));
  await clock.advance(6999);
  await settle();
  expect(drained).toBe(false);
  await clock.advance(1);
  await draining;

  const closing = traffic.close();
  await clock.advance(2000);
  await closing;
  expect(workers.map(({ terminated }) => terminated)).toEqual([true, true]);
});
