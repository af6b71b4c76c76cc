import type { Socket } from "node:net";

import { formatAddress, type Disposable, type WheelTimer } from "@tulle/base";
import {
  NO_SLOT,
  affinityOf,
  currentCluster,
  offerProbe,
  pick,
  routeConnection,
  takeProbe,
  type AttemptState,
  type ClusterPart,
  type ConnectionRefusal,
  type EndpointPart,
  type PickFailure,
  type Plan,
  type TcpChain,
  type TunnelSettings,
  type WorkloadLabels,
} from "@tulle/engine";

import type { ServerConnection } from "../connection/server-connection.js";
import type { Opening, OpeningListener } from "../detection/detection.js";
import type { ListenAddress } from "../options.js";
import { preambleOf } from "../proxy-protocol/preamble.js";
import { clientAddress } from "../stream/affinity.js";
import type { OwnView } from "../stream/decision.js";
import type { Parked } from "../stream/parking.js";
import type { AcquireFailure } from "../stream/contract.js";
import type { ClusterTraffic } from "../telemetry/upstream-metrics.js";
import { originalEndpoint } from "../upstream/original-endpoint.js";
import { ConnectionAdmission, type ConnectionVerdict } from "./connection-admission.js";
import type { TcpContext, TcpEnd, TcpRecord, TcpSource, TcpTraffic } from "./contract.js";
import { HeldUpstream } from "./held-upstream.js";
import { resetEnd, TcpPipe, type TcpPipeOwner } from "./tcp-pipe.js";
import { openTunnel } from "./tunnel.js";

const NOTHING = Buffer.alloc(0);

const enum State {
  /** Waits for configuration. */
  PARKED,
  /** A service is asked whether it may pass. */
  ASKING,
  /** Policies let it not through: it is about to be closed. */
  REFUSED,
  CONNECTING,
  /** Connected, and nothing flows. */
  HELD,
  OPEN,
  CLOSED,
}

/**
 * One connection carried to an endpoint: a connection of its own, never shared. Nothing is read from the client until
 * there is somebody to take it, and nothing is waited for: a server that speaks first is heard at once.
 *
 * ```
 *  PARKED ─► ASKING ─► CONNECTING ⟲ ─► OPEN ─► CLOSED      (⟲: another endpoint after one that cannot be connected to)
 *     └──────────────►     └─► HELD ──┘
 * ```
 *
 * A session may be held: it connects, and until `start` the client's side is not its business. One that is never started
 * was none: it is not counted.
 */
export class TcpSession<Source extends TcpSource = TcpSource>
  implements ServerConnection, TcpPipeOwner, TcpRecord, Parked, Opening
{
  readonly source: Source;
  readonly startTimeMs: number;
  chain: TcpChain | undefined;
  cluster: ClusterPart | undefined;
  endpoint: EndpointPart | undefined;
  peer: WorkloadLabels | undefined;
  durationMs = 0;
  bytesReceived = 0;
  bytesSent = 0;
  flags = "";
  termination = "";
  transportFailure = "";
  upstreamLocalAddress = "";
  readonly #context: TcpContext;
  readonly #client: TcpEnd;
  readonly #onClosed: () => void;
  readonly #startMs: number;
  readonly #attempt: AttemptState = { attempts: 0, triedSlots: [], probes: true };
  /** It decides about an endpoint on probation, and nothing is known yet. */
  #probe = false;
  /** First for the time that it may be parked, then for idleness. */
  readonly #timer: WheelTimer;
  readonly #view: OwnView;
  /** Undefined: no policy asks about it, or none has yet. */
  #admission: ConnectionAdmission | undefined;
  #state: State = State.PARKED;
  #plan: Plan | undefined;
  #connecting: Disposable | undefined;
  #holder: OpeningListener | undefined;
  #held: HeldUpstream | undefined;
  /** Read from the client before it was this session's. */
  #head: Buffer = NOTHING;
  #pipe: TcpPipe | undefined;
  #traffic: TcpTraffic | undefined;
  #clusterTraffic: ClusterTraffic | undefined;
  #lastActivityMs = 0;
  /** When the connection is closed whatever goes on, by the clock. */
  #endMs = Number.POSITIVE_INFINITY;

  /** `client` is paused and its error event has a listener. `onClosed` is called once, later. */
  constructor(client: TcpEnd, source: Source, context: TcpContext, onClosed: () => void) {
    this.#client = client;
    this.source = source;
    this.peer = source.peer;
    this.#context = context;
    this.#onClosed = onClosed;
    const { clock, configuration, load } = context;
    this.startTimeMs = clock.now();
    this.#startMs = clock.monotonic();
    this.#view = { snapshot: configuration.current, load, now: this.#startMs, entropy: context.newEntropy() };
    this.#timer = context.coarseWheel.timer(() => this.#onTimer());
  }

  get attempts(): number {
    return this.#attempt.attempts;
  }

  /** Every session is under way until it ends: there is no moment at which it could be cut unnoticed. */
  get busy(): boolean {
    return this.#state !== State.CLOSED;
  }

  /** Carries the connection; call once. `head`: what was read from the client, which may have ended since. */
  start(head: Buffer = NOTHING): void {
    this.#head = head;
    const held = this.#holder !== undefined;
    this.#holder = undefined;
    if (this.#client.socket.destroyed) {
      this.#onClientGone();
      return;
    }
    this.#client.socket.on("close", this.#onClientGone);
    if (!held) this.#look();
    else if (this.#held !== undefined && this.chain !== undefined) this.#admit(this.chain);
  }

  /** Connects and lets nothing flow until `start`. Call instead of that, before it. */
  hold(holder: OpeningListener): void {
    this.#holder = holder;
    this.#look();
  }

  abandon(): void {
    if (this.#holder === undefined) return;
    this.#holder = undefined;
    this.#leave();
  }

  /** Sessions go on until they end by themselves or {@link destroy} cuts them. */
  drain(): void {}

  destroy(): void {
    this.#fail("", "proxy_closed");
  }

  onConfigurationChanged(): void {
    if (this.#state === State.PARKED) this.#decide();
  }

  /** Policies have changed: ends the session when it may not be any more. */
  judgeAnew(): void {
    if (this.#state !== State.OPEN) return;
    const chain = this.source.chain();
    if (chain === undefined || chain === null || chain === this.chain) return;
    this.#admit(chain);
  }

  /** Goes on if policies let the connection through: at once, or when whom they ask has said so. */
  #admit(chain: TcpChain): void {
    this.chain = chain;
    // What is only held may turn out to be requests, which are judged as such.
    const verdict = this.#judge(chain, this.#holder !== undefined);
    if (verdict !== "asking") this.#onVerdict(verdict);
    // One that is open goes on until it is refused.
    else if (this.#state !== State.OPEN) this.#state = State.ASKING;
  }

  #judge(chain: TcpChain, looksOnly: boolean): ConnectionVerdict {
    const { source, startTimeMs } = this;
    const { connection } = source;
    if (connection === undefined) return "passes";
    const { askAuthorizer, authorization } = this.#context;
    const { entropy } = this.#view;
    this.#admission ??= new ConnectionAdmission(
      { source, connection, startTimeMs, entropy },
      askAuthorizer,
      authorization,
      (verdict) => this.#onAnswered(verdict),
    );
    return this.#admission.judge(chain, looksOnly);
  }

  /** Somebody was asked, and configuration may have changed since. */
  #onAnswered(verdict: "passes" | ConnectionRefusal): void {
    const chain = this.source.chain();
    if (chain === null) this.#fail("NR", "route_not_found");
    else if (chain !== undefined && chain.warm && chain !== this.chain) this.#admit(chain);
    else this.#onVerdict(verdict);
  }

  #onVerdict(verdict: "passes" | ConnectionRefusal): void {
    if (verdict !== "passes") this.#refuse(verdict);
    else if (this.#state === State.OPEN || this.chain === undefined) return;
    else if (this.#held !== undefined && this.#plan !== undefined)
      this.#open(this.#plan, this.#held.release());
    else this.#route(this.chain);
  }

  #refuse({ flag, details }: ConnectionRefusal): void {
    if (this.#state === State.OPEN) {
      this.#fail(flag, details);
      return;
    }
    this.#state = State.REFUSED;
    // Its handshake may be what we are called from: a reset in the midst of that crashes Node.js 20.
    setImmediate(() => this.#fail(flag, details));
  }

  // Connecting

  #look(): void {
    this.#timer.arm(this.#context.parking.timeoutMs);
    this.#decide();
  }

  #decide(): void {
    const chain = this.source.chain();
    if (chain === null) {
      this.#fail("NR", "route_not_found");
      return;
    }
    if (chain === undefined || !chain.warm) {
      if (!this.#context.parking.add(this)) this.#fail("UO", "too_many_waiting_for_configuration");
      return;
    }
    this.#timer.disarm();
    this.#admit(chain);
  }

  #route(chain: TcpChain): void {
    this.#view.snapshot = this.#context.configuration.current;
    this.#plan = routeConnection(this.#view, chain);
    this.#attempt.affinity = affinityOf(
      this.#view,
      this.#plan,
      undefined,
      clientAddress("", this.source.remoteAddress),
    );
    this.#state = State.CONNECTING;
    this.#connect(this.#plan);
  }

  #connect(plan: Plan): void {
    const { configuration, load, connector, upstreamMetrics } = this.#context;
    this.#view.snapshot = configuration.current;
    this.#view.now = this.#context.clock.monotonic();
    const cluster = currentCluster(this.#view, plan, this.#attempt);
    this.cluster = cluster;
    const picked = cluster.originalDestination
      ? toOriginal(this.source.originalDestination)
      : pick(this.#view, plan, this.#attempt);
    if ("kind" in picked) {
      this.#fail(picked.flag, picked.flag === "UH" ? "no_healthy_upstream" : "overflow");
      return;
    }
    const traffic = upstreamMetrics.of(cluster);
    const perHost = cluster.maxConnectionsPerHost;
    if (
      load.connections(cluster.slot) >= cluster.maxConnections ||
      (perHost !== undefined && load.connections(picked.slot) >= perHost)
    ) {
      traffic.connectionOverflow.inc();
      this.#fail("UO", "overflow");
      return;
    }
    this.endpoint = picked;
    if (this.source.direction === "outbound") this.peer = picked.workload;
    const attempt = this.#attempt;
    attempt.attempts++;
    attempt.triedSlots.push(picked.slot);
    if (attempt.attempts > 1) traffic.retries.inc();
    traffic.connections.add(1);
    traffic.connectionsTotal.inc();
    this.#clusterTraffic = traffic;
    this.#probe = takeProbe(load, cluster, picked);
    load.addConnections(cluster.slot, 1);
    if (picked.slot !== NO_SLOT) load.addConnections(picked.slot, 1);
    load.begin(cluster.slot, picked.slot, attempt.attempts > 1);
    const startedMs = this.#context.clock.monotonic();
    this.#connecting = connector.connectBytes(
      picked,
      preambleOf(picked, this.source),
      cluster.connectTimeoutMs,
      {
        onConnected: (socket, transport) => {
          this.#connecting = undefined;
          this.#observe(picked, startedMs, false);
          this.#context.outliers.connected(cluster, picked, this.#probe);
          this.#probe = false;
          const upstream = { socket, transport };
          const tunnel = this.chain?.tunnel;
          if (tunnel === undefined) this.#onConnected(plan, upstream);
          else this.#ask(plan, upstream, tunnel, cluster.connectTimeoutMs);
        },
        onConnectFailed: (failure, detail) => {
          this.#connecting = undefined;
          this.#observe(picked, startedMs, true);
          this.#context.outliers.unreached(cluster, picked, failure === "connect-timeout", this.#probe);
          this.#probe = false;
          this.#onConnectFailed(plan, failure, detail);
        },
      },
    );
  }

  /** The endpoint is a proxy, which is asked for who is meant. What it says of that is not held against it. */
  #ask(plan: Plan, upstream: TcpEnd, tunnel: TunnelSettings, timeoutMs: number): void {
    this.#connecting = openTunnel(upstream, tunnel, this.#context.coarseWheel, timeoutMs, {
      onTunnel: () => {
        this.#connecting = undefined;
        this.#onConnected(plan, upstream);
      },
      onRefused: (detail) => {
        this.#connecting = undefined;
        this.#onConnectFailed(plan, "connect-failure", detail);
      },
    });
  }

  #onConnected(plan: Plan, upstream: TcpEnd): void {
    if (this.#holder === undefined) this.#open(plan, upstream);
    else this.#hold(upstream, this.#holder);
  }

  #observe(endpoint: EndpointPart, startedMs: number, failed: boolean): void {
    const { load, clock } = this.#context;
    const now = clock.monotonic();
    load.observe(endpoint.slot, now - startedMs, failed, now);
  }

  #onConnectFailed(plan: Plan, failure: AcquireFailure, detail: string): void {
    this.#clusterTraffic?.connectFailures.inc();
    this.#leaveEndpoint();
    this.transportFailure = failure === "connect-timeout" ? "connect timeout" : detail;
    const retries = plan.retry?.attempts ?? 0;
    if (this.attempts <= retries) this.#connect(plan);
    else this.#fail(retries > 0 ? "UF,URX" : "UF", "upstream_connect_failure");
  }

  // Open

  #hold(upstream: TcpEnd, holder: OpeningListener): void {
    this.#state = State.HELD;
    this.#held = new HeldUpstream(upstream, {
      onServerFirst: (spoke) => {
        if (this.#holder !== undefined) holder.onServerFirst(spoke);
      },
      onUnreachable: () => {
        if (this.#holder === undefined) {
          this.#fail("UF", "upstream_connect_failure");
          return;
        }
        this.abandon();
        holder.onUnreachable();
      },
    });
  }

  #open(plan: Plan, upstream: TcpEnd): void {
    this.#state = State.OPEN;
    this.#held = undefined;
    this.upstreamLocalAddress = addressOf(upstream.socket);
    this.#traffic = this.#context.telemetry.opened(this);
    this.#client.socket.removeListener("close", this.#onClientGone);
    this.#lastActivityMs = this.#context.clock.monotonic();
    this.#pipe = new TcpPipe(this.#client, upstream, this, this.#head);
    this.#head = NOTHING;
    const settings = this.cluster?.connection;
    if (settings !== undefined) this.#context.keepAlive.apply(upstream.transport, settings);
    const maxDurationMs = settings?.maxDurationMs ?? 0;
    if (maxDurationMs > 0) this.#endMs = this.#lastActivityMs + maxDurationMs;
    this.#armTimer();
    // Policies may have changed while it was connected. Not at once: see #refuse.
    if (this.source.chain() !== this.chain) setImmediate(() => this.judgeAnew());
  }

  onBytes(from: "client" | "upstream", bytes: number): void {
    this.#lastActivityMs = this.#context.clock.monotonic();
    if (from === "client") {
      this.bytesReceived += bytes;
      this.#traffic?.received(bytes);
    } else {
      this.bytesSent += bytes;
      this.#traffic?.sent(bytes);
    }
  }

  onPipeCut(by: "client" | "upstream", detail: string): void {
    if (this.#state !== State.OPEN || this.termination !== "") return;
    this.flags = by === "client" ? "DC" : "UC";
    this.termination = `${by === "client" ? "downstream" : "upstream"}_reset`;
    if (by === "upstream") this.transportFailure = detail;
  }

  onPipeClosed(): void {
    this.#finish();
  }

  readonly #onClientGone = (): void => {
    this.#fail("DC", "downstream_remote_disconnect");
  };

  #onTimer(): void {
    if (this.#state === State.PARKED) {
      this.#fail("NC", "configuration_timeout");
      return;
    }
    const nowMs = this.#context.clock.monotonic();
    if (nowMs >= this.#endMs) this.#fail("DT", "max_connection_duration");
    else if (nowMs >= this.#idleEndMs) this.#fail("", "idle_timeout");
    else this.#armTimer();
  }

  /** When it has been idle for as long as it may. */
  get #idleEndMs(): number {
    const idleTimeoutMs = this.#plan?.idleTimeoutMs ?? 0;
    return idleTimeoutMs === 0 ? Number.POSITIVE_INFINITY : this.#lastActivityMs + idleTimeoutMs;
  }

  #armTimer(): void {
    const dueMs = Math.min(this.#endMs, this.#idleEndMs);
    if (Number.isFinite(dueMs)) this.#timer.arm(dueMs - this.#context.clock.monotonic());
  }

  // Ending

  /** Cuts everything. */
  #fail(flags: string, termination: string): void {
    if (this.#state === State.CLOSED) return;
    const holder = this.#holder;
    if (holder !== undefined) {
      this.abandon();
      holder.onUnreachable();
      return;
    }
    if (this.termination === "") {
      this.flags = flags;
      this.termination = termination;
    }
    this.#finish();
    if (this.#pipe === undefined) resetEnd(this.#client);
    else this.#pipe.reset();
  }

  #finish(): void {
    if (this.#state === State.CLOSED) return;
    this.#leave();
    this.#client.socket.removeListener("close", this.#onClientGone);
    this.durationMs = this.#context.clock.monotonic() - this.#startMs;
    if (this.#traffic === undefined) this.#context.telemetry.opened(this);
    this.#context.telemetry.closed(this);
    this.#onClosed();
  }

  /** Gives up what is held on the way to the server. */
  #leave(): void {
    this.#state = State.CLOSED;
    this.#timer.disarm();
    this.#context.parking.remove(this);
    this.#admission?.cancel();
    const connecting = this.#connecting;
    this.#connecting = undefined;
    connecting?.[Symbol.dispose]();
    this.#held?.destroy();
    this.#held = undefined;
    this.#leaveEndpoint();
  }

  #leaveEndpoint(): void {
    const { cluster, endpoint } = this;
    const traffic = this.#clusterTraffic;
    if (traffic === undefined || cluster === undefined || endpoint === undefined) return;
    this.#clusterTraffic = undefined;
    traffic.connections.add(-1);
    const { load } = this.#context;
    load.addConnections(cluster.slot, -1);
    if (endpoint.slot !== NO_SLOT) load.addConnections(endpoint.slot, -1);
    load.end(cluster.slot, endpoint.slot, this.attempts > 1);
    if (this.#probe) offerProbe(load, endpoint.slot);
    this.#probe = false;
  }
}

function toOriginal(destination: ListenAddress | undefined): EndpointPart | PickFailure {
  return destination === undefined ? { kind: "fail", flag: "UH" } : originalEndpoint(destination);
}

function addressOf({ localAddress, localPort }: Socket): string {
  return localAddress === undefined ? "" : formatAddress(localAddress, localPort ?? 0);
}
