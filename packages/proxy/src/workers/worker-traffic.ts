import type { Socket } from "node:net";

import { DisposableStack, MeshError, type LogLevel } from "@tulle/base";
import type { ResourceChange, SharedSlotOwner } from "@tulle/engine";

import { joinLearnt } from "../detection/learnt-ports.js";
import { drainMsOf, trafficHosts, trafficPorts } from "../lifecycle/listeners.js";
import type {
  ListenerStatus,
  Traffic,
  TrafficAddresses,
  TrafficOptions,
  TrafficParts,
  TrafficPorts,
} from "../lifecycle/traffic.js";
import { listenTcp } from "../listener/tcp-listener.js";
import type { SidecarOptions } from "../options.js";
import type { ObservationAction, TrafficReport } from "../observed/contract.js";
import { joinReports } from "../observed/join-reports.js";
import type { RecordAnswer } from "../records/record-answer.js";
import { MetricsSums } from "../telemetry/metrics-delta.js";
import type { SidecarConfiguration } from "../xds/sidecar-configuration.js";
import type { SpawnWorker, Unasked, WorkerStart } from "./contract.js";
import { WorkerThread } from "./worker-thread.js";

const MAX_WORKERS = 64;
/** Workers have this long to begin and to open their listeners. */
const OPEN_MS = 30_000;
/** A scrape does without what a worker has not told by then; it comes with the next one. */
const ANSWER_MS = 1000;
/** Workers that are busy with something else get this much longer than what they were given. */
const GRACE_MS = 2000;

export interface WorkerTrafficParts extends TrafficParts {
  readonly options: SidecarOptions;
  readonly load: SharedSlotOwner;
  readonly configuration: SidecarConfiguration;
  readonly spawn: SpawnWorker;
  /** A worker has failed (`internal` PROXY_WORKER_FAILED). */
  readonly onFailure: (error: MeshError) => void;
}

/** One worker and what it has told so far. */
interface Member {
  readonly thread: WorkerThread;
  readonly sums: MetricsSums;
  listeners: readonly ListenerStatus[];
  /** Set while it is asked, so that a slow one is not asked again and again. */
  collecting: Promise<void> | undefined;
}

/**
 * Carries traffic in worker threads on ports that they share. Each worker compiles the configuration for itself, from
 * what this thread forwards; load, and with it every limit, is in memory that all share.
 */
export class WorkerTraffic implements Traffic {
  readonly #parts: WorkerTrafficParts;
  readonly #owned = new DisposableStack();
  readonly #members: Member[] = [];
  #closing = false;

  constructor(parts: WorkerTrafficParts) {
    const { workers = 1 } = parts.options;
    if (!Number.isInteger(workers) || workers < 1 || workers > MAX_WORKERS) {
      throw new MeshError(
        "invalid",
        "PROXY_WORKERS",
        `workers must be a whole number from 1 to ${MAX_WORKERS}`,
      );
    }
    if (parts.options.upstreams.some(({ socketPath }) => socketPath !== undefined)) {
      const message = "workers cannot share a Unix socket; leave out --workers, or give the upstream a port";
      throw new MeshError("invalid", "PROXY_WORKERS_SOCKET", message);
    }
    this.#parts = parts;
  }

  async open(): Promise<TrafficAddresses> {
    const { options, clock } = this.#parts;
    const wanted = trafficPorts(options);
    // A gateway opens its ports later, as its configuration says.
    if (options.gateway === undefined) await this.#checkFree(wanted);
    this.#start(options.workers ?? 1);
    const timer = clock.setTimeout(() => {
      for (const { thread } of this.#members) thread.terminate();
    }, OPEN_MS);
    try {
      return await this.#openAll(wanted);
    } finally {
      timer[Symbol.dispose]();
    }
  }

  /** The workers were told what changed when it did. */
  onConfigurationChanged(): void {}

  async caughtUp(): Promise<void> {
    await this.#ofEach(({ thread }) => thread.ask({ kind: "sync" }), GRACE_MS);
  }

  async listeners(): Promise<readonly ListenerStatus[]> {
    await this.#ofEach((member) => this.#askListeners(member), ANSWER_MS);
    const [first, ...others] = this.#members;
    return (first?.listeners ?? []).map((status, index) => ({
      ...status,
      connections: others.reduce(
        (sum, { listeners }) => sum + (listeners[index]?.connections ?? 0),
        status.connections,
      ),
      learnt: joinLearnt(this.#members.map(({ listeners }) => listeners[index]?.learnt ?? [])),
    }));
  }

  async collect(): Promise<void> {
    await this.#ofEach((member) => {
      member.collecting ??= member.thread
        .ask({ kind: "metrics" })
        .then((delta) => member.sums.add(delta))
        .finally(() => (member.collecting = undefined));
      return member.collecting;
    }, ANSWER_MS);
  }

  setLogLevel(level: LogLevel): void {
    for (const { thread } of this.#members) thread.tell({ kind: "log-level", level });
  }

  async observe(action: ObservationAction): Promise<TrafficReport> {
    const reports: TrafficReport[] = [];
    await this.#ofEach(async ({ thread }) => {
      reports.push(await thread.ask({ kind: "observe", action }));
    }, ANSWER_MS);
    // Of a thread that did not answer nothing is known.
    const report = joinReports(reports);
    return reports.length === this.#members.length ? report : { ...report, complete: false };
  }

  async recordsOf(requestId: string): Promise<readonly RecordAnswer[]> {
    const found: RecordAnswer[] = [];
    await this.#ofEach(async ({ thread }) => {
      found.push(...(await thread.ask({ kind: "records", requestId })));
    }, ANSWER_MS);
    return found.sort((left, right) => left.record.time - right.record.time);
  }

  async drain(): Promise<void> {
    const drainMs = drainMsOf(this.#parts.options) + GRACE_MS;
    await this.#ofEach(({ thread }) => thread.ask({ kind: "drain" }), drainMs);
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#owned[Symbol.dispose]();
    await Promise.all(this.#members.map(({ thread }) => thread.close(GRACE_MS)));
  }

  /** The first one finds free ports for all. */
  async #openAll(wanted: TrafficPorts): Promise<TrafficAddresses> {
    const [first, ...others] = this.#members.map(({ thread }) => thread);
    if (first === undefined) throw new MeshError("internal", "PROXY_WORKERS", "there is no worker");
    const addresses = await first.ask({ kind: "open", ports: wanted });
    const ports: TrafficPorts = {
      upstreams: addresses.upstreams.map(({ port }) => port),
      outbound: addresses.outbound?.port ?? 0,
      inbound: addresses.inbound?.port ?? 0,
    };
    await Promise.all(others.map((thread) => thread.ask({ kind: "open", ports })));
    await Promise.all(this.#members.map((member) => this.#askListeners(member)));
    return addresses;
  }

  /** Workers would share a port with whoever shares it, too: another sidecar of this user, say. */
  async #checkFree({ upstreams, outbound, inbound }: TrafficPorts): Promise<void> {
    const hosts = trafficHosts(this.#parts.options);
    const names = this.#parts.options.upstreams.map(({ authority }) => `upstream ${authority}`);
    const wanted = [
      ...upstreams.map((port, index) => ({ name: names[index] ?? "", host: hosts.local, port })),
      { name: "outbound", host: hosts.local, port: outbound },
      ...(hosts.localIpv6 === undefined
        ? []
        : [{ name: "outbound IPv6", host: hosts.localIpv6, port: outbound }]),
      { name: "inbound", host: hosts.inbound, port: inbound },
    ];
    for (const { name, host, port } of wanted) {
      if (port === 0) continue;
      const onConnection = (socket: Socket): void => {
        socket.destroy();
      };
      const listener = await listenTcp({
        name,
        host,
        port,
        onConnection,
        maxConnections: 1,
        onDrop: () => undefined,
      });
      listener.stopAccepting();
    }
  }

  /** Starts all workers in one go: what changes from now on is told to each of them. */
  #start(count: number): void {
    const { options, logger, load, configuration, tls, metrics, clock, spawn } = this.#parts;
    const resources = [...configuration.resources()].map(ownBytes);
    load.takeChanges();
    for (let index = 0; index < count; index++) {
      const start: WorkerStart = {
        index,
        options: trafficOptions(options),
        logLevel: logger.level,
        load: load.shared,
        slots: load.entries(),
        resources,
        svid: tls.svid,
      };
      const thread = new WorkerThread(spawn(start), clock, {
        onMessage: (message) => this.#take(message),
        onEnd: (error) => this.#onEnd(index, error),
      });
      this.#members.push({ thread, sums: new MetricsSums(metrics), listeners: [], collecting: undefined });
    }
    this.#owned.use(
      configuration.onChanged((change) => {
        const slots = load.takeChanges();
        const copy = change.kind === "apply" ? { ...change, changes: change.changes.map(ownBytes) } : change;
        const question = { kind: "configure", change: copy, slots } as const;
        for (const [index, { thread }] of this.#members.entries()) {
          // One that could not follow would go on with another configuration than the rest.
          thread.ask(question).catch((thrown: unknown) => this.#onEnd(index, thrown));
        }
      }),
    );
    this.#owned.use(
      tls.onChanged((svid) => {
        for (const { thread } of this.#members) thread.tell({ kind: "identity", svid });
      }),
    );
  }

  async #askListeners(member: Member): Promise<void> {
    member.listeners = await member.thread.ask({ kind: "listeners" });
  }

  /** Waits for every worker, `limitMs` at most. One that has ended has nothing to say. */
  #ofEach(ask: (member: Member) => Promise<unknown>, limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#parts.clock.setTimeout(resolve, limitMs);
      void Promise.allSettled(this.#members.map(ask)).then(() => {
        timer[Symbol.dispose]();
        resolve();
      });
    });
  }

  #take(message: Unasked): void {
    switch (message.kind) {
      case "demand":
        this.#parts.onDemand(message.authority);
        break;
      case "use":
        this.#parts.onUse(message.authority);
        break;
      case "suspect":
        this.#parts.onSuspect(message.suspicion);
        break;
      case "log":
        this.#log(message.line);
    }
  }

  /** Gives a worker's record to the sidecar's own log. */
  #log(line: string): void {
    const { level, message, time: _, ...fields } = JSON.parse(line) as Record<string, unknown>;
    this.#parts.logger[level as LogLevel](String(message), fields);
  }

  /** Without a worker its share of the connections would go nowhere: better that the sidecar is started anew. */
  #onEnd(index: number, error: unknown): void {
    if (this.#closing) return;
    const message = `worker ${index} has failed, and the sidecar ends with it`;
    this.#parts.onFailure(new MeshError("internal", "PROXY_WORKER_FAILED", message, { cause: error }));
  }
}

/** What a worker gets of the options. */
function trafficOptions(options: SidecarOptions): TrafficOptions {
  // Functions stay in their thread: with workers V8's flags are set before any of them starts.
  const {
    clock: _clock,
    logger: _logger,
    onBusy: _onBusy,
    controlPlane: _controlPlane,
    inherited: _inherited,
    ...rest
  } = options;
  return rest;
}

/** Bytes alone: a copy of a view would take along the whole message that it is a view of. */
function ownBytes(change: ResourceChange): ResourceChange {
  return change.bytes === undefined ? change : { ...change, bytes: change.bytes.slice() };
}
