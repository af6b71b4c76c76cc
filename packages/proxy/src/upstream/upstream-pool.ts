import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

import type { Disposable, TimerWheel } from "@tulle/base";
import { NO_SLOT, type ClusterPart, type EndpointPart, type LoadTable } from "@tulle/engine";
import type { FlushQueue } from "@tulle/http/socket";

import type { ProxyLimits } from "../limits/proxy-limits.js";
import type { AcquireFailure, UpstreamWaiter } from "../stream/contract.js";
import type { ClusterTraffic, UpstreamMetrics } from "../telemetry/upstream-metrics.js";
import type { Connector } from "./connector.js";
import type { KeepAlive } from "./keep-alive.js";
import { Http1ClientConnection, type ClientConnectionOwner } from "./http1-client-connection.js";
import {
  HTTP2_KEEP_ALIVE,
  Http2ClientConnection,
  type Http2ConnectionOwner,
} from "./http2-client-connection.js";

/** Idle connections between sidecars live shorter than the other side's hour. */
const MESH_IDLE_MS = 60_000;
/** Idle connections to applications: Node.js and uvicorn close theirs after 5 s, and a race costs a request. */
const PLAIN_IDLE_MS = 4000;

/** What pools need of their proxy. */
export interface PoolContext {
  readonly connector: Connector;
  readonly queue: FlushQueue;
  readonly coarseWheel: TimerWheel;
  readonly keepAlive: KeepAlive;
  /** Where limits of connections and of requests that wait are counted. */
  readonly load: LoadTable;
  readonly metrics: UpstreamMetrics;
  readonly limits: ProxyLimits;
  /** The codec refused what the server at `remote` sent; for counters and logs. */
  readonly onCodecRefusal: (code: string, remote: string) => void;
}

interface Waiting {
  readonly cluster: ClusterPart;
  readonly traffic: ClusterTraffic;
}

/**
 * Connections to one address with one TLS configuration. Shared by all clusters that name it. With HTTP/2 usually one:
 * another is made when its peer allows no more streams. Which protocol it is, ALPN says at every handshake anew.
 */
export class UpstreamPool implements ClientConnectionOwner, Http2ConnectionOwner {
  /** Set when the pool left its registry: look it up again. */
  retired = false;
  /** No cluster has this endpoint any more: exchanges under way end in their time, and nothing waits for further ones. */
  #removed = false;
  readonly #context: PoolContext;
  readonly #endpoint: EndpointPart;
  readonly #preamble: Buffer | undefined;
  readonly #onEmpty: (pool: UpstreamPool) => void;
  readonly #onFull: (slot: number) => boolean;
  readonly #idle: Http1ClientConnection[] = [];
  readonly #connections = new Map<Http1ClientConnection | Http2ClientConnection, Waiting>();
  /** Those that take tries. */
  readonly #multiplexed: Http2ClientConnection[] = [];
  /** Whether the endpoint is expected to speak HTTP/2: as configured, then as the last connection turned out. */
  #http2: boolean;
  readonly #connecting = new Set<Disposable>();
  readonly #waiters = new Map<UpstreamWaiter, Waiting>();
  /** Where it is counted as a pool; undefined = nowhere, as long as its clusters have no limit of pools. */
  #counted: number | undefined;

  /** The endpoint and how it is reached, as text. */
  readonly way: string;

  /**
   * `preamble`: what each connection begins with. `onFull`: a cluster, whose pools are counted on a slot, has as many as it
   * may: makes one of them leave, if it can.
   */
  constructor(
    context: PoolContext,
    endpoint: EndpointPart,
    way: string,
    preamble: Buffer | undefined,
    onEmpty: (pool: UpstreamPool) => void,
    onFull: (slot: number) => boolean,
  ) {
    this.#context = context;
    this.#endpoint = endpoint;
    this.way = way;
    this.#preamble = preamble;
    this.#onEmpty = onEmpty;
    this.#onFull = onFull;
    this.#http2 = endpoint.http2 || endpoint.tls?.alpn.includes("h2") === true;
  }

  /** Whether its endpoint is one that a cluster has, and not an address that a caller was going to. */
  get ofCluster(): boolean {
    return this.#endpoint.slot !== NO_SLOT;
  }

  get mutualTls(): boolean {
    return this.#endpoint.tls?.kind === "mesh";
  }

  /** Distinguishes how its connections are secured; undefined = not at all. */
  get tlsKey(): string | undefined {
    return this.#endpoint.tls?.key;
  }

  /** Gives `waiter` a stream, now or later. Returns whether it waits, in which case it may be withdrawn. */
  acquire(cluster: ClusterPart, waiter: UpstreamWaiter): boolean {
    for (const connection of this.#multiplexed) {
      if (!connection.available) continue;
      connection.start(waiter);
      return false;
    }
    const { load, metrics } = this.#context;
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.usable) {
        this.#hand(connection, waiter);
        if (cluster.connection.preconnectRatio > 1) {
          this.#connectAhead({ cluster, traffic: metrics.of(cluster) });
        }
        return false;
      }
      connection.destroy();
    }
    const traffic = metrics.of(cluster);
    if (load.pending(cluster.slot) >= cluster.maxPendingRequests) {
      traffic.pendingOverflow.inc();
      waiter.onUpstreamUnavailable("overflow", "");
      return false;
    }
    if (cluster.pools !== undefined && !this.#countPool(cluster.pools)) {
      traffic.poolOverflow.inc();
      waiter.onUpstreamUnavailable("overflow", "");
      this.#checkEmpty();
      return false;
    }
    load.addPending(cluster.slot, 1);
    traffic.pending.add(1);
    const waiting = { cluster, traffic };
    this.#waiters.set(waiter, waiting);
    this.#connectFor(waiting);
    if (cluster.connection.preconnectRatio > 1) this.#connectAhead(waiting);
    return this.#waiters.has(waiter);
  }

  /** Takes back an `acquire` that was not answered yet. */
  withdraw(waiter: UpstreamWaiter): void {
    this.#forget(waiter);
    this.#checkEmpty();
  }

  /**
   * Says whether some cluster still has this endpoint. Without one, connections that nobody uses are closed now, the
   * others when their last exchange ends, however long that takes.
   */
  set removed(removed: boolean) {
    if (removed === this.#removed) return;
    this.#removed = removed;
    if (removed) this.renew();
  }

  /** New connections from now on; those under way serve their exchange to its end. */
  renew(): void {
    this.#idle.length = 0;
    for (const connection of this.#connections.keys()) connection.retire();
  }

  /** Whether a cluster may have no further connection to this endpoint. */
  isFull({ slot, maxConnections, maxConnectionsPerHost: perHost }: ClusterPart): boolean {
    const { load } = this.#context;
    if (load.connections(slot) >= maxConnections) return true;
    return perHost !== undefined && load.connections(this.#endpoint.slot) >= perHost;
  }

  /** Leaves to make room for another pool that is counted on `slot`. False when it is not, or somebody uses it. */
  makeRoom(slot: number): boolean {
    if (this.#counted !== slot || this.#connecting.size + this.#waiters.size > 0) return false;
    const resting = this.#idle.length + this.#multiplexed.filter(({ unused }) => unused).length;
    if (resting < this.#connections.size) return false;
    this.#leave();
    this.renew();
    return true;
  }

  /** Counts itself among the pools of a cluster, of which a pool that nobody uses may make room. */
  #countPool({ max, slot }: NonNullable<ClusterPart["pools"]>): boolean {
    if (this.#counted !== undefined) return true;
    const { load } = this.#context;
    if (load.connections(slot) >= max && !this.#onFull(slot)) return false;
    this.#counted = slot;
    load.addConnections(slot, 1);
    return true;
  }

  destroy(): void {
    for (const attempt of this.#connecting) attempt[Symbol.dispose]();
    this.#connecting.clear();
    for (const connection of this.#connections.keys()) connection.destroy();
  }

  get connections(): number {
    return this.#connections.size;
  }

  onConnectionIdle(connection: Http1ClientConnection): void {
    const cluster = this.#connections.get(connection)?.cluster;
    const limit = cluster?.maxRequestsPerConnection ?? 0;
    if (this.retired || connection.expired || (limit > 0 && connection.exchanges >= limit)) {
      connection.retire();
      return;
    }
    const next = this.#waiters.keys().next();
    if (next.done === true) {
      if (this.#removed) {
        connection.retire();
        return;
      }
      this.#idle.push(connection);
      connection.park();
    } else {
      this.#forget(next.value);
      this.#hand(connection, next.value);
    }
  }

  onConnectionClosed(connection: Http1ClientConnection): void {
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#onClosed(connection);
  }

  onStreamsAvailable(connection: Http2ClientConnection): void {
    if (this.#waiters.size === 0) return;
    for (const waiter of this.#waiters.keys()) {
      if (!connection.available) return;
      this.#forget(waiter);
      connection.start(waiter);
    }
  }

  onConnectionRetired(connection: Http2ClientConnection): void {
    const at = this.#multiplexed.indexOf(connection);
    if (at >= 0) this.#multiplexed.splice(at, 1);
    const next = this.#waiters.values().next();
    if (next.done !== true) this.#connectFor(next.value);
  }

  onHttp2Closed(connection: Http2ClientConnection): void {
    this.#onClosed(connection);
  }

  #onClosed(connection: Http1ClientConnection | Http2ClientConnection): void {
    const waiting = this.#connections.get(connection);
    if (waiting !== undefined) this.#countConnection(waiting, -1);
    this.#connections.delete(connection);
    // Somebody may wait for a connection that the limit did not allow before.
    const next = this.#waiters.values().next();
    if (next.done !== true) this.#connectFor(next.value);
    this.#checkEmpty();
  }

  #hand(connection: Http1ClientConnection, waiter: UpstreamWaiter): void {
    connection.start(waiter);
    waiter.onUpstreamReady(connection);
  }

  #forget(waiter: UpstreamWaiter): void {
    const waiting = this.#waiters.get(waiter);
    if (waiting === undefined) return;
    this.#waiters.delete(waiter);
    this.#context.load.addPending(waiting.cluster.slot, -1);
    waiting.traffic.pending.add(-1);
  }

  #connectFor(waiting: Waiting): void {
    const { cluster, traffic } = waiting;
    // One connection with HTTP/2 will do for all who wait.
    if (this.#connecting.size >= (this.#http2 ? 1 : this.#waiters.size)) return;
    // Every address may have one connection, as with Envoy: otherwise a full cluster would starve a new endpoint.
    const first = this.#connections.size + this.#connecting.size === 0;
    if (!first && this.isFull(cluster)) {
      traffic.connectionOverflow.inc();
      return;
    }
    this.#connect(waiting);
  }

  /** Makes connections before anybody asks for them, in proportion to those in use. With HTTP/2 one is enough for all. */
  #connectAhead(waiting: Waiting): void {
    if (this.#http2) return;
    const { cluster } = waiting;
    const busy = this.#connections.size - this.#idle.length + this.#waiters.size;
    const wanted = Math.ceil(busy * cluster.connection.preconnectRatio);
    while (this.#connections.size + this.#connecting.size < wanted) {
      if (this.isFull(cluster)) return;
      this.#connect(waiting);
    }
  }

  #connect(waiting: Waiting): void {
    const { cluster, traffic } = waiting;
    this.#countConnection(waiting, 1);
    traffic.connectionsTotal.inc();
    const preamble = this.#preamble;
    const timeoutMs = cluster.connectTimeoutMs;
    const attempt: Disposable = this.#context.connector.connect(this.#endpoint, preamble, timeoutMs, {
      onConnected: (socket) => {
        this.#connecting.delete(attempt);
        this.#onConnected(socket, waiting);
      },
      onConnectFailed: (failure, detail) => {
        this.#connecting.delete(attempt);
        this.#countConnection(waiting, -1);
        traffic.connectFailures.inc();
        this.#onConnectFailed(failure, detail);
      },
    });
    this.#connecting.add(attempt);
  }

  #onConnected(socket: Socket, waiting: Waiting): void {
    const { queue, coarseWheel, limits, keepAlive } = this.#context;
    const { connection: settings, maxRequestsPerConnection: maxRequests } = waiting.cluster;
    keepAlive.apply(socket, settings);
    const idleTimeoutMs =
      settings.idleTimeoutMs === undefined ? this.#usualIdleMs() : forever(settings.idleTimeoutMs);
    // Before the peer would end it: requests go over a connection by its next certificate.
    let connection: Http1ClientConnection | Http2ClientConnection | undefined;
    const usefulMs = this.#context.connector.watch(socket, () => connection?.retire());
    const maxDurationMs = Math.min(forever(settings.maxDurationMs), usefulMs);
    this.#http2 =
      this.#endpoint.http2 || (socket instanceof TLSSocket && negotiatedHttp2(socket, this.#endpoint));
    if (this.#http2) {
      const http2 = new Http2ClientConnection(socket, this, queue, coarseWheel, {
        toSidecar: this.mutualTls,
        scheme: this.tlsKey === undefined ? "http" : "https",
        idleTimeoutMs,
        maxDurationMs,
        maxStreams: forever(settings.maxStreams),
        keepAlive:
          settings.pingAfterMs === 0
            ? HTTP2_KEEP_ALIVE
            : { afterMs: settings.pingAfterMs, timeoutMs: settings.pingTimeoutMs },
        maxRequests,
        http2: limits.http2Response,
      });
      connection = http2;
      this.#connections.set(http2, waiting);
      if (this.retired) {
        http2.retire();
        return;
      }
      this.#multiplexed.push(http2);
      this.onStreamsAvailable(http2);
      this.#connectForRest();
      if (this.#removed) http2.retire();
      return;
    }
    const http1 = new Http1ClientConnection(socket, this, queue, coarseWheel, {
      idleTimeoutMs,
      maxDurationMs,
      limits: limits.http1Response,
    });
    connection = http1;
    this.#connections.set(http1, waiting);
    this.onConnectionIdle(http1);
    // It was thought to speak HTTP/2, and everybody waited for this one connection.
    this.#connectForRest();
  }

  #usualIdleMs(): number {
    return this.mutualTls || this.#http2 ? MESH_IDLE_MS : PLAIN_IDLE_MS;
  }

  #countConnection({ cluster, traffic }: Waiting, by: 1 | -1): void {
    const { load } = this.#context;
    load.addConnections(cluster.slot, by);
    // Connections of health checks are counted nowhere.
    if (cluster.slot !== NO_SLOT) load.addConnections(this.#endpoint.slot, by);
    traffic.connections.add(by);
  }

  onCodecRefusal(code: string): void {
    this.#context.onCodecRefusal(code, this.#endpoint.key);
  }

  #connectForRest(): void {
    for (const waiting of this.#waiters.values()) {
      const before = this.#connecting.size;
      this.#connectFor(waiting);
      if (this.#connecting.size === before) return;
    }
  }

  #onConnectFailed(failure: AcquireFailure, detail: string): void {
    // Those that a running attempt or a connection can serve go on waiting. With HTTP/1.1 one fails per failed attempt;
    // with HTTP/2 all waited for this one.
    const all = this.#http2 && this.#multiplexed.length === 0;
    if (!all && this.#connecting.size >= this.#waiters.size) {
      this.#checkEmpty();
      return;
    }
    // Those who ask again at once wait for the next attempt.
    const waiters = [...this.#waiters.keys()];
    for (const waiter of waiters) {
      this.#forget(waiter);
      waiter.onUpstreamUnavailable(failure, detail);
      if (!all) break;
    }
    const rest = this.#waiters.values().next();
    if (rest.done !== true) this.#connectFor(rest.value);
    this.#checkEmpty();
  }

  #checkEmpty(): void {
    if (this.#connections.size + this.#connecting.size + this.#waiters.size > 0 || this.retired) return;
    this.#leave();
  }

  #leave(): void {
    this.retired = true;
    if (this.#counted !== undefined) this.#context.load.addConnections(this.#counted, -1);
    this.#counted = undefined;
    this.#onEmpty(this);
  }
}

/** A server outside the mesh that is known to speak HTTP/2 alone need not say so. */
function negotiatedHttp2({ alpnProtocol }: TLSSocket, { tls }: EndpointPart): boolean {
  if (alpnProtocol === "h2") return true;
  return (
    alpnProtocol === false && tls?.kind === "originated" && tls.alpn.length === 1 && tls.alpn[0] === "h2"
  );
}

/** A limit of which 0 means that there is none. */
function forever(limit: number): number {
  return limit === 0 ? Number.POSITIVE_INFINITY : limit;
}
