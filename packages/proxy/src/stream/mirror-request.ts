import type { Clock, TimerWheel, WheelTimer } from "@tulle/base";
import type { ClusterPart, EndpointPart, LoadTable, SnapshotSource } from "@tulle/engine";
import type { HeaderList, ResponseHead } from "@tulle/http";

import type { Counter } from "../telemetry/metrics.js";
import type { UpstreamMetrics } from "../telemetry/upstream-metrics.js";
import type { UpstreamPool } from "../upstream/upstream-pool.js";
import type { UpstreamPools } from "../upstream/upstream-pools.js";
import type { AcquireFailure, RequestSource, UpstreamStream, UpstreamWaiter } from "./contract.js";

/** What copies share. */
export interface MirrorRequestContext {
  readonly clock: Clock;
  readonly configuration: SnapshotSource;
  readonly load: LoadTable;
  readonly pools: UpstreamPools;
  readonly upstreamMetrics: UpstreamMetrics;
  readonly coarseWheel: TimerWheel;
  /** Counts copies that were dropped. */
  readonly mirrorsDropped: Counter;
}

/** A request to be copied, as it goes out. */
export interface MirroredRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderList;
  readonly expectsBody: boolean;
  /** -1 = unknown. */
  readonly contentLength: number;
  readonly grpc: boolean;
  /** Of the route; 0 = none. */
  readonly timeoutMs: number;
}

/** As much of a body waits for a server that is slower than the request's own. */
const MAX_HELD_BYTES = 1024 * 1024;
/** A copy whose route has no timeout ends after this long without a byte of its request. */
const IDLE_TIMEOUT_MS = 60_000;

const enum State {
  ACQUIRING,
  ACTIVE,
  OVER,
}

/** One copy of a request: sent once, whatever becomes of it, and its response thrown away. */
export class MirrorRequest implements UpstreamWaiter {
  readonly #context: MirrorRequestContext;
  readonly #request: MirroredRequest;
  readonly #timer: WheelTimer;
  readonly #held: Buffer[] = [];
  #heldBytes = 0;
  #state = State.ACQUIRING;
  #cluster: ClusterPart | undefined;
  #endpoint: EndpointPart | undefined;
  #pool: UpstreamPool | undefined;
  #upstream: UpstreamStream | undefined;
  #blocked = false;
  #startMs = 0;
  #movedMs = 0;
  #status = 0;
  /** Undefined while more of the request is to come. */
  #trailers: HeaderList | undefined;
  #ended = false;

  constructor(context: MirrorRequestContext, request: MirroredRequest) {
    this.#context = context;
    this.#request = request;
    this.#timer = context.coarseWheel.timer(() => this.#onTimer());
  }

  /** Exactly once, before anything else. */
  start(cluster: ClusterPart, endpoint: EndpointPart, source: RequestSource): void {
    const { clock, load, pools } = this.#context;
    this.#cluster = cluster;
    this.#endpoint = endpoint;
    this.#startMs = clock.monotonic();
    this.#movedMs = this.#startMs;
    load.begin(cluster.slot, endpoint.slot);
    this.#timer.arm(this.#limitMs);
    this.#pool = pools.for(endpoint, source);
    this.#pool.acquire(cluster, this);
  }

  /** Borrowed bytes. */
  onRequestBody(chunk: Buffer, start: number, end: number): void {
    if (this.#state === State.OVER) return;
    this.#movedMs = this.#context.clock.monotonic();
    if (this.#upstream !== undefined && !this.#blocked) {
      this.#blocked = !this.#upstream.writeBody(chunk, start, end);
      return;
    }
    this.#heldBytes += end - start;
    if (this.#heldBytes > MAX_HELD_BYTES) this.drop();
    else this.#held.push(Buffer.from(chunk.subarray(start, end)));
  }

  onRequestEnd(trailers: HeaderList): void {
    this.#trailers = trailers;
    this.#flush();
  }

  /** Gives it up. */
  drop(): void {
    if (this.#state === State.OVER) return;
    this.#context.mirrorsDropped.inc();
    this.#pool?.withdraw(this);
    const upstream = this.#upstream;
    this.#end(false);
    upstream?.cancel();
  }

  onUpstreamReady(stream: UpstreamStream): void {
    this.#pool = undefined;
    if (this.#state === State.OVER || this.#cluster === undefined) {
      stream.cancel();
      return;
    }
    this.#upstream = stream;
    this.#state = State.ACTIVE;
    this.#context.upstreamMetrics.of(this.#cluster).requests.inc();
    const { method, target, headers, expectsBody, contentLength } = this.#request;
    stream.writeHead(method, target, headers, expectsBody, contentLength);
    this.#flush();
  }

  onUpstreamUnavailable(failure: AcquireFailure): void {
    this.#pool = undefined;
    this.#context.mirrorsDropped.inc();
    this.#end(failure !== "overflow");
  }

  onUpstreamInterim(): void {}

  onUpstreamHead(head: ResponseHead): void {
    this.#status = head.status;
  }

  /** Not asked for. */
  onUpstreamSwitched(): void {
    this.drop();
  }

  onUpstreamBody(): void {}

  onUpstreamEnd(): void {
    const upstream = this.#upstream;
    const complete = this.#ended;
    this.#end(this.#status >= 500);
    // An answer before the end of the request: the rest is of no use.
    if (!complete) upstream?.cancel();
  }

  onUpstreamDrain(): void {
    this.#blocked = false;
    this.#flush();
  }

  onUpstreamReset(): void {
    this.#context.mirrorsDropped.inc();
    this.#end(true);
  }

  #flush(): void {
    const upstream = this.#upstream;
    if (upstream === undefined) return;
    while (this.#held.length > 0 && !this.#blocked) {
      const chunk = this.#held.shift()!;
      this.#heldBytes -= chunk.length;
      this.#blocked = !upstream.writeBody(chunk, 0, chunk.length);
    }
    if (this.#held.length > 0 || this.#trailers === undefined || this.#ended) return;
    this.#ended = true;
    upstream.writeEnd(this.#trailers);
  }

  get #limitMs(): number {
    return this.#request.timeoutMs === 0 ? IDLE_TIMEOUT_MS : this.#request.timeoutMs;
  }

  #onTimer(): void {
    const restMs = this.#movedMs + this.#limitMs - this.#context.clock.monotonic();
    if (restMs > 0) this.#timer.arm(restMs);
    else this.drop();
  }

  #end(failed: boolean): void {
    const { load, clock } = this.#context;
    if (this.#cluster === undefined || this.#endpoint === undefined) return;
    load.end(this.#cluster.slot, this.#endpoint.slot);
    const now = clock.monotonic();
    load.observe(this.#endpoint.slot, now - this.#startMs, failed, now);
    this.#state = State.OVER;
    this.#timer.disarm();
    this.#upstream = undefined;
    this.#cluster = undefined;
    this.#endpoint = undefined;
    this.#held.length = 0;
  }
}
