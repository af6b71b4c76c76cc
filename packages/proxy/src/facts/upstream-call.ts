import type { Clock, TimerWheel, WheelTimer } from "@tulle/base";
import {
  currentCluster,
  pick,
  type AttemptState,
  type FactFailure,
  type LoadTable,
  type SnapshotSource,
  type Way,
} from "@tulle/engine";
import type { HeaderList, ResponseHead } from "@tulle/http";

import type { OutlierRecorder } from "../health/outlier-recorder.js";
import type { ConnectionEnds } from "../proxy-protocol/preamble.js";
import { TryLog } from "../records/try-log.js";
import type { AcquireFailure, ResetReason, UpstreamStream, UpstreamWaiter } from "../stream/contract.js";
import { TryAccount } from "../stream/try-account.js";
import type { UpstreamMetrics } from "../telemetry/upstream-metrics.js";
import type { UpstreamPool } from "../upstream/upstream-pool.js";
import type { UpstreamPools } from "../upstream/upstream-pools.js";
import type { PendingFact } from "./contract.js";

/** What calls share. */
export interface UpstreamCallContext {
  readonly clock: Clock;
  readonly configuration: SnapshotSource;
  readonly load: LoadTable;
  readonly pools: UpstreamPools;
  readonly upstreamMetrics: UpstreamMetrics;
  readonly outliers: OutlierRecorder;
  readonly fineWheel: TimerWheel;
}

/** One request of the proxy's own to a cluster of the mesh. */
export interface UpstreamRequest {
  readonly way: Way;
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderList;
  readonly body: Buffer;
  readonly grpc: boolean;
  readonly timeoutMs: number;
  /** Of the request that it is made for. */
  readonly entropy: number;
}

export interface UpstreamAnswer {
  readonly kind: "answer";
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Buffer;
  readonly trailers: HeaderList;
}

/** An answer's body, at most. */
const MAX_ANSWER_BYTES = 256 * 1024;
/** A connection that was idle may be closed by the server just when it is used: such a call is made once more. */
const MAX_TRIES = 2;

/**
 * A small request with its whole answer, over the cluster's own pools: with its mutual TLS, its circuit breakers and its
 * outlier detection. Bounded in time and size.
 */
export class UpstreamCall implements UpstreamWaiter, PendingFact {
  readonly #context: UpstreamCallContext;
  readonly #request: UpstreamRequest;
  readonly #source: ConnectionEnds;
  readonly #onEnd: (end: UpstreamAnswer | FactFailure) => void;
  readonly #timer: WheelTimer;
  readonly #account: TryAccount;
  readonly #attempt: AttemptState = { attempts: 0, triedSlots: [], probes: true };
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #head: ResponseHead | undefined;
  #pool: UpstreamPool | undefined;
  #upstream: UpstreamStream | undefined;
  #over = false;
  /** What `start` returns when it is over at once. */
  #early: UpstreamAnswer | FactFailure | undefined;
  #starting = true;

  /** `source`: the client that it is made for. */
  constructor(
    context: UpstreamCallContext,
    request: UpstreamRequest,
    source: ConnectionEnds,
    onEnd: (end: UpstreamAnswer | FactFailure) => void,
  ) {
    this.#context = context;
    this.#request = request;
    this.#source = source;
    this.#onEnd = onEnd;
    this.#timer = context.fineWheel.timer(() => this.#onTimeout());
    this.#account = new TryAccount(context.load, context.clock, new TryLog(), context.outliers);
  }

  /** Once. What it came to, when that is known at once; else `onEnd` is told, unless it is cancelled. */
  start(): UpstreamAnswer | FactFailure | undefined {
    this.#timer.arm(this.#request.timeoutMs);
    this.#try();
    this.#starting = false;
    return this.#early;
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#drop(false);
  }

  onUpstreamReady(stream: UpstreamStream): void {
    this.#pool = undefined;
    if (this.#over) {
      stream.cancel();
      return;
    }
    this.#upstream = stream;
    const { method, target, headers, body } = this.#request;
    // The codec adds to the list.
    stream.writeHead(method, target, [...headers], body.length > 0, body.length);
    if (body.length > 0) stream.writeBody(body, 0, body.length);
    stream.writeEnd([]);
  }

  onUpstreamUnavailable(failure: AcquireFailure, detail: string): void {
    this.#pool = undefined;
    if (failure !== "overflow") this.#account.unreached(failure === "connect-timeout");
    this.#account.end(failure !== "overflow");
    if (failure === "overflow") this.#fail("overflow", "a circuit breaker of its cluster is open");
    else this.#fail("unreachable", `no connection${because(detail)}`);
  }

  onUpstreamInterim(): void {}

  onUpstreamHead(head: ResponseHead): void {
    // Copied: the list is only lent.
    this.#head = { ...head, headers: [...head.headers] };
    this.#account.answered(head, this.#request.grpc);
  }

  /** Not asked for. */
  onUpstreamSwitched(): void {
    this.#drop(true);
    this.#fail("invalid", "it switched the protocol");
  }

  onUpstreamBody(chunk: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    if (this.#bytes <= MAX_ANSWER_BYTES) {
      this.#chunks.push(Buffer.from(chunk.subarray(start, end)));
      return;
    }
    this.#drop(true);
    this.#fail("invalid", `its answer has over ${MAX_ANSWER_BYTES} bytes`);
  }

  onUpstreamEnd(trailers: HeaderList): void {
    const head = this.#head;
    this.#upstream = undefined;
    if (head === undefined) return;
    if (this.#request.grpc) this.#account.grpcEnded(trailers);
    this.#account.end(head.status >= 500);
    const { status, headers } = head;
    this.#end({
      kind: "answer",
      status,
      headers,
      body: Buffer.concat(this.#chunks),
      trailers: [...trailers],
    });
  }

  onUpstreamDrain(): void {}

  onUpstreamReset(reason: ResetReason, detail: string): void {
    const stale = this.#upstream?.reused === true && this.#head === undefined && reason !== "protocol-error";
    this.#upstream = undefined;
    this.#account.unreached(false);
    this.#account.end(true);
    if (stale && this.#attempt.attempts < MAX_TRIES) this.#try();
    else this.#fail("unreachable", `the connection broke${because(detail === "" ? reason : detail)}`);
  }

  #try(): void {
    const { configuration, load, clock, pools, upstreamMetrics } = this.#context;
    const { way, grpc, entropy } = this.#request;
    const snapshot = configuration.current;
    const plan = way.plan(snapshot);
    const view = { snapshot, load, now: clock.monotonic(), wallMs: clock.now(), entropy };
    const picked = pick(view, plan, this.#attempt);
    if ("kind" in picked) {
      const { name } = plan.cluster;
      if (picked.flag === "UO") this.#fail("overflow", "a circuit breaker of its cluster is open");
      else this.#fail("unreachable", `${name} has no healthy instance`);
      return;
    }
    const cluster = currentCluster(view, plan, this.#attempt);
    this.#attempt.attempts++;
    this.#account.begin(cluster, picked, this.#attempt.attempts > 1);
    upstreamMetrics.of(cluster).requests.inc();
    const pool = pools.for((grpc ? picked.overHttp2 : undefined) ?? picked, this.#source);
    this.#pool = pool;
    pool.acquire(cluster, this);
  }

  #onTimeout(): void {
    if (this.#over) return;
    this.#account.unreached(true);
    this.#drop(true);
    this.#fail("timeout", `no answer within ${this.#request.timeoutMs} ms`);
  }

  /** Lets go of the connection or of the wait for one. */
  #drop(failed: boolean): void {
    this.#timer.disarm();
    this.#pool?.withdraw(this);
    this.#pool = undefined;
    const upstream = this.#upstream;
    this.#upstream = undefined;
    this.#account.end(failed);
    upstream?.cancel();
  }

  #fail(reason: FactFailure["reason"], detail: string): void {
    this.#end({ kind: "failed", reason, detail });
  }

  #end(end: UpstreamAnswer | FactFailure): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer.disarm();
    if (this.#starting) this.#early = end;
    else this.#onEnd(end);
  }
}

function because(detail: string): string {
  return detail === "" ? "" : ` (${detail})`;
}
