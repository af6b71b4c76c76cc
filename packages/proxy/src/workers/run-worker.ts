import type { MessagePort } from "node:worker_threads";

import { createLogger, DisposableStack, MeshError, systemClock, type Logger } from "@tulle/base";
import { openSharedLoadTable, type SharedSlotHolder, type SlotChanges } from "@tulle/engine";

import { CapturedTraffic } from "../lifecycle/captured-traffic.js";
import { LocalTraffic } from "../lifecycle/local-traffic.js";
import { listenTcp, type ListenTcp } from "../listener/tcp-listener.js";
import { MetricsRegistry } from "../telemetry/metrics.js";
import { MetricsDeltas } from "../telemetry/metrics-delta.js";
import { addHeapMetric } from "../telemetry/process-metrics.js";
import { WorkloadTls } from "../tls/workload-tls.js";
import { DEMAND_SWEEP_MS } from "../xds/demand.js";
import type { ConfigurationChange, SidecarConfiguration } from "../xds/sidecar-configuration.js";
import type { Answers, FromWorker, Question, ToWorker, WorkerStart } from "./contract.js";
import { RelayedIdentity } from "./relayed-identity.js";
import { startOnSharedPort } from "./shared-port.js";

/**
 * Carries traffic in this thread, as the main thread tells it through `port`, until that asks it to close. `onOpen` is
 * called once the listeners are open.
 */
export function runWorker(port: MessagePort, start: WorkerStart, onOpen: () => void): void {
  const worker = new TrafficWorker(start, (message) => port.postMessage(message), onOpen);
  port.on("message", (message: ToWorker) => {
    void worker.take(message).then((closed) => {
      if (closed) port.close();
    });
  });
}

class TrafficWorker {
  readonly #send: (message: FromWorker) => void;
  readonly #onOpen: () => void;
  readonly #logger: Logger;
  readonly #owned = new DisposableStack();
  readonly #load: SharedSlotHolder;
  readonly #identity: RelayedIdentity;
  readonly #configuration: SidecarConfiguration;
  readonly #deltas: MetricsDeltas;
  readonly #traffic: LocalTraffic;
  /** Authorities of the configuration that the main thread knows to be in use. */
  readonly #used = new Set<string>();

  constructor(start: WorkerStart, send: (message: FromWorker) => void, onOpen: () => void) {
    const clock = systemClock;
    const { options } = start;
    const metrics = new MetricsRegistry();
    const logger = createLogger({
      level: start.logLevel,
      write: (line) => send({ kind: "log", line }),
      now: () => clock.now(),
    });
    this.#send = send;
    this.#onOpen = onOpen;
    this.#logger = logger;
    this.#load = openSharedLoadTable(start.load, performance.timeOrigin);
    this.#identity = new RelayedIdentity(start.svid);
    const tls = this.#owned.use(new WorkloadTls(this.#identity, clock));
    this.#deltas = new MetricsDeltas(metrics);
    addHeapMetric(metrics);
    const captured = new CapturedTraffic(options, { clock, logger, metrics });
    this.#configuration = captured.configuration(this.#load);
    this.#load.assign(start.slots);
    this.#configuration.apply(start.resources);
    const sweep = (): void => this.#used.clear();
    this.#owned.use(clock.setInterval(sweep, DEMAND_SWEEP_MS, { keepAlive: false }));
    this.#traffic = new LocalTraffic({
      options,
      clock,
      logger,
      metrics,
      load: this.#load,
      configuration: this.#configuration,
      captured,
      tls,
      onDemand: (authority) => send({ kind: "demand", authority }),
      onUse: (authority) => this.#onUse(authority),
      onSuspect: (suspicion) => send({ kind: "suspect", suspicion }),
      listen: countingConnections(start.index, metrics),
    });
  }

  /** Resolves with whether this was the last message. Never rejects. */
  async take(message: ToWorker): Promise<boolean> {
    switch (message.kind) {
      case "identity":
        this.#identity.rotate(message.svid);
        return false;
      case "log-level":
        this.#logger.setLevel(message.level);
        return false;
      case "ask":
        await this.#answer(message.id, message.question);
        return message.question.kind === "close";
    }
  }

  #follow(change: ConfigurationChange, { assigned, freed }: SlotChanges): void {
    // Before anything is linked that needs them; and freed only when nothing is linked to them any more.
    this.#load.assign(assigned);
    // What is refused here, the main thread has refused, too, and answered for.
    if (change.kind === "apply") this.#configuration.apply(change.changes);
    else this.#configuration.forget(change.typeUrl, change.names);
    this.#load.free(freed);
    this.#traffic.onConfigurationChanged();
  }

  async #answer(id: number, question: Question): Promise<void> {
    try {
      this.#send({ kind: "answer", id, answer: await this.#do(question) });
    } catch (thrown) {
      const { kind, code, message } = MeshError.from(thrown);
      this.#send({ kind: "failure", id, error: { kind, code, message } });
    }
  }

  async #do(question: Question): Promise<Answers[keyof Answers]> {
    switch (question.kind) {
      case "open": {
        const addresses = await this.#traffic.open(question.ports);
        this.#onOpen();
        return addresses;
      }
      case "configure":
        this.#follow(question.change, question.slots);
        return undefined;
      case "sync":
        await this.#traffic.caughtUp();
        return undefined;
      case "listeners":
        return this.#traffic.listeners();
      case "metrics":
        return this.#deltas.take();
      case "observe":
        return this.#traffic.observe(question.action);
      case "records":
        return this.#traffic.recordsOf(question.requestId);
      case "drain":
        await this.#traffic.drain();
        return undefined;
      case "close":
        await this.#traffic.close();
        this.#owned[Symbol.dispose]();
        return undefined;
    }
  }

  #onUse(authority: string): void {
    if (this.#used.has(authority)) return;
    // What nobody has subscribed to has no time that could be prolonged, and must not fill the set.
    if (this.#configuration.current.outbound(authority) === undefined) return;
    this.#used.add(authority);
    this.#send({ kind: "use", authority });
  }
}

/** Listeners on ports that the workers share, whose connections are counted for each worker (Envoy's names). */
function countingConnections(index: number, metrics: MetricsRegistry): ListenTcp {
  const labels = ["envoy_worker_id", String(index)];
  const total = metrics
    .counter("envoy_listener_worker_downstream_cx_total", "Connections taken, by worker.")
    .with(labels);
  const active = metrics
    .gauge("envoy_listener_worker_downstream_cx_active", "Connections open, by worker.")
    .with(labels);
  return (options) =>
    listenTcp(
      {
        ...options,
        onConnection: (socket) => {
          total.inc();
          active.add(1);
          socket.once("close", () => active.add(-1));
          options.onConnection(socket);
        },
      },
      startOnSharedPort,
    );
}
