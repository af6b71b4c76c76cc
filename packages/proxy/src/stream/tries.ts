import type { Clock, TimerWheel, WheelTimer } from "@tulle/base";
import { pick, type LoadTable, type Outcome, type Plan, type SnapshotSource } from "@tulle/engine";
import {
  type HeaderList,
  type RequestHead,
  type ResponseHead,
  GrpcStatus,
  NO_FIELDS,
  NO_GRPC_STATUS,
  readGrpcStatus,
} from "@tulle/http";

import type { OutlierRecorder } from "../health/outlier-recorder.js";
import type { RequestFields } from "../filters/request-headers.js";
import type { Failure } from "../rescue.js";
import type { UpstreamMetrics } from "../telemetry/upstream-metrics.js";
import type { UpstreamPool } from "../upstream/upstream-pool.js";
import type { UpstreamPools } from "../upstream/upstream-pools.js";
import type { AcquireFailure, ResetReason, UpstreamStream, UpstreamWaiter } from "./contract.js";
import type { OwnView } from "./decision.js";
import type { ExchangeRecord } from "./exchange-record.js";
import { RequestBody, type ReplayLimit } from "./request-body.js";
import { Retries } from "./retries.js";
import { TryAccount } from "./try-account.js";
import { requestHeadersOf, requestTargetOf } from "./upstream-request.js";

/** What tries share. */
export interface TriesContext extends ReplayLimit {
  readonly clock: Clock;
  readonly configuration: SnapshotSource;
  readonly load: LoadTable;
  readonly pools: UpstreamPools;
  readonly upstreamMetrics: UpstreamMetrics;
  readonly outliers: OutlierRecorder;
  /** For timeouts of a request. */
  readonly fineWheel: TimerWheel;
  /** Own workload, told to the next sidecar. */
  readonly peerMetadata: string;
}

/** Who the tries are made for. After one of those that end it nothing more comes. */
export interface TriesOwner {
  onResponseInterim(head: ResponseHead): void;
  onResponseHead(head: ResponseHead, serviceTimeMs: number): void;
  /** The upgrade is made: body and end of both sides are those of a tunnel. */
  onSwitched(head: ResponseHead, serviceTimeMs: number): void;
  /** Borrowed bytes. Returns false when the upstream must wait for `resumeResponse`. */
  onResponseBody(chunk: Buffer, start: number, end: number): boolean;
  /** The response is complete. Ends it. */
  onResponseEnd(trailers: HeaderList): void;
  /** The server ended its side of the tunnel, the client's is still open. */
  onTunnelHalfEnd(): void;
  /** Both sides of the tunnel have ended, the client's last. Ends it. */
  onTunnelEnd(): void;
  /** The response, or the tunnel, broke off. Ends it. */
  onResponseCut(reason: ResetReason): void;
  /** There will be no response. Ends it. */
  onTriesFailed(failure: Failure, detail: string): void;
  /** Stops and restarts the flow of the request's body. */
  pauseRequest(): void;
  resumeRequest(): void;
}

const enum State {
  /** No way is chosen yet; what comes of the body is kept. */
  IDLE,
  /** Waits for a connection. */
  ACQUIRING,
  ACTIVE,
  /** The upgrade that was asked for is made. */
  TUNNEL,
  /** Waits to try again. */
  BACKOFF,
  OVER,
}

/**
 * The tries of one request: pick an endpoint, get a connection, send, and let the engine say what to do when that
 * fails. Belongs to an exchange and is reused with it.
 *
 * ```
 *  start ─► ACQUIRING ─► ACTIVE ─► OVER
 *               ▲           │ └─► TUNNEL ─► OVER
 *               └─ BACKOFF ◄┘ (engine.next)
 * ```
 */
export class Tries implements UpstreamWaiter {
  readonly #context: TriesContext;
  readonly #record: ExchangeRecord;
  readonly #fields: RequestFields;
  readonly #view: OwnView;
  readonly #owner: TriesOwner;
  readonly #body: RequestBody;
  readonly #retries: Retries;
  readonly #account: TryAccount;
  /** One timer for what comes one after the other: a try's own timeout, and the wait before the next. */
  readonly #timer: WheelTimer;
  #state: State = State.IDLE;
  #plan: Plan | undefined;
  #responseStarted = false;
  /** The server ended its side of the tunnel. */
  #tunnelHalfEnded = false;
  #upstream: UpstreamStream | undefined;
  #pool: UpstreamPool | undefined;

  constructor(
    context: TriesContext,
    record: ExchangeRecord,
    fields: RequestFields,
    view: OwnView,
    owner: TriesOwner,
  ) {
    this.#context = context;
    this.#record = record;
    this.#fields = fields;
    this.#view = view;
    this.#owner = owner;
    this.#body = new RequestBody(context);
    this.#retries = new Retries(context.configuration, record, view, this.#body);
    this.#account = new TryAccount(context.load, context.clock, record.tries, context.outliers);
    this.#timer = context.fineWheel.timer(() => this.#onTimer());
  }

  /** The request's, as far as it has come. */
  get body(): RequestBody {
    return this.#body;
  }

  /** Prepares for a new request. */
  clear(head: RequestHead): void {
    this.#state = State.IDLE;
    this.#plan = undefined;
    this.#responseStarted = false;
    this.#tunnelHalfEnded = false;
    this.#upstream = undefined;
    this.#pool = undefined;
    this.#body.clear(head);
  }

  /** Sends the request the way that was chosen. */
  start(plan: Plan): void {
    this.#plan = plan;
    this.#body.keep = plan.retry !== undefined;
    this.#tryOnce();
  }

  /** Borrowed bytes of the request's body. */
  onRequestBody(chunk: Buffer, start: number, end: number): void {
    switch (this.#state) {
      case State.ACTIVE:
      case State.TUNNEL:
        this.#body.copy(chunk, start, end);
        if (this.#upstream?.writeBody(chunk, start, end) === false) this.#owner.pauseRequest();
        break;
      case State.OVER:
        break;
      default:
        if (!this.#body.hold(chunk, start, end)) this.#owner.pauseRequest();
    }
  }

  onRequestEnd(trailers: HeaderList): void {
    this.#body.done = true;
    this.#body.trailers = trailers;
    if (this.#state === State.TUNNEL) this.#onClientEnd();
    if (this.#state !== State.ACTIVE) return;
    this.#upstream?.writeEnd(trailers);
    this.#armTimeout();
  }

  /** The client took what it was given. */
  resumeResponse(): void {
    this.#upstream?.resumeResponse();
  }

  /** The time for the answer is over: that is held against whoever owes it. `abandon` follows. */
  onTimeout(): void {
    if (this.#state === State.ACTIVE && !this.#responseStarted) this.#account.unreached(true);
  }

  /** Ends whatever is under way: nobody waits for it any more. */
  abandon(): void {
    this.#pool?.withdraw(this);
    this.#pool = undefined;
    const upstream = this.#upstream;
    this.#endTry(false);
    this.#end();
    upstream?.cancel();
  }

  onUpstreamReady(stream: UpstreamStream): void {
    const plan = this.#plan;
    const record = this.#record;
    const { endpoint, cluster, request } = record;
    if (plan === undefined || endpoint === undefined || cluster === undefined) {
      stream.cancel();
      return;
    }
    this.#pool = undefined;
    this.#upstream = stream;
    this.#state = State.ACTIVE;
    record.upstreamLocalAddress = stream.localAddress;
    this.#context.upstreamMetrics.of(cluster).requests.inc();
    const headers = requestHeadersOf(record, this.#fields, plan, endpoint, this.#context.peerMetadata);
    const target = requestTargetOf(record, plan);
    if (request.upgrade !== "") {
      stream.writeUpgrade(request.upgrade, target, headers);
      this.#armTimeout();
      return;
    }
    stream.writeHead(request.method, target, headers, this.#body.expected, this.#body.contentLength);
    const writable = this.#body.replayTo(stream);
    if (this.#body.done) {
      stream.writeEnd(this.#body.trailers);
      this.#armTimeout();
    } else if (writable) this.#owner.resumeRequest();
    else this.#owner.pauseRequest();
  }

  onUpstreamUnavailable(failure: AcquireFailure, detail: string): void {
    this.#pool = undefined;
    this.#record.upstreamTransportFailureReason = detail;
    this.#account.note(failure, 0, detail);
    if (failure !== "overflow") this.#account.unreached(failure === "connect-timeout");
    this.#endTry(failure !== "overflow");
    if (failure === "overflow") this.#fail("overflow", "");
    else this.#retryOr({ kind: "connect-failure" }, failure, detail);
  }

  onUpstreamInterim(head: ResponseHead): void {
    this.#owner.onResponseInterim(head);
  }

  onUpstreamHead(head: ResponseHead): void {
    this.#account.note("answered", head.status, "");
    this.#account.answered(head, this.#record.grpc);
    if ((head.status >= 400 || this.#record.grpc) && this.#retryAnswer(head)) return;
    this.#responseStarted = true;
    this.#timer.disarm();
    this.#body.release();
    this.#owner.onResponseHead(head, Math.round(this.#account.elapsedMs));
  }

  onUpstreamSwitched(head: ResponseHead): void {
    this.#account.observe(false);
    this.#account.note("switched", head.status, "");
    this.#state = State.TUNNEL;
    this.#responseStarted = true;
    this.#timer.disarm();
    this.#body.release();
    this.#owner.onSwitched(head, Math.round(this.#account.elapsedMs));
  }

  onUpstreamBody(chunk: Buffer, start: number, end: number): void {
    if (!this.#owner.onResponseBody(chunk, start, end)) this.#upstream?.pauseResponse();
  }

  onUpstreamEnd(trailers: HeaderList): void {
    if (this.#state === State.TUNNEL && !this.#body.done) {
      this.#tunnelHalfEnded = true;
      this.#owner.onTunnelHalfEnd();
      return;
    }
    const { grpc, responseCode, grpcStatus } = this.#record;
    if (grpc && responseCode === 200 && grpcStatus === NO_GRPC_STATUS) this.#account.grpcEnded(trailers);
    this.#endTry(this.#record.responseCode >= 500);
    this.#end();
    this.#owner.onResponseEnd(trailers);
  }

  onUpstreamDrain(): void {
    if (!this.#body.done) this.#owner.resumeRequest();
  }

  onUpstreamReset(reason: ResetReason, detail: string): void {
    const stream = this.#upstream;
    this.#record.upstreamTransportFailureReason = detail;
    this.#account.note(reason, 0, detail);
    if (this.#state === State.ACTIVE && reason !== "no-upgrade") this.#account.unreached(false);
    this.#endTry(true);
    if (this.#responseStarted) {
      this.#end();
      this.#owner.onResponseCut(reason);
    } else if (reason === "protocol-error") {
      this.#fail("upstream-protocol-error", detail);
    } else if (reason === "no-upgrade") {
      this.#fail("no-upgrade", this.#record.request.upgrade);
    } else {
      const outcome: Outcome = {
        kind: "reset",
        requestSent: stream?.requestSent ?? true,
        responseStarted: false,
        reusedConnection: stream?.reused ?? false,
      };
      this.#retryOr(outcome, "upstream-reset", detail);
    }
  }

  /** The client ended its side of the tunnel. */
  #onClientEnd(): void {
    this.#upstream?.writeEnd(NO_FIELDS);
    if (!this.#tunnelHalfEnded) return;
    this.#endTry(false);
    this.#end();
    this.#owner.onTunnelEnd();
  }

  #tryOnce(): void {
    const plan = this.#plan;
    if (plan === undefined) return;
    const { clock, configuration, pools } = this.#context;
    const record = this.#record;
    const { attempt } = record;
    this.#view.snapshot = configuration.current;
    this.#view.now = clock.monotonic();
    const picked = pick(this.#view, plan, attempt);
    if ("kind" in picked) {
      this.#fail(picked.flag === "UH" ? "no-healthy-upstream" : "overflow", "");
      return;
    }
    // A retry sees the cluster as it is now, which pick looked at too.
    const cluster = configuration.current.cluster(plan.cluster.name) ?? plan.cluster;
    attempt.attempts++;
    attempt.triedSlots.push(picked.slot);
    record.cluster = cluster;
    record.endpoint = picked;
    record.upstreamHost = picked.key;
    if (record.source.direction === "outbound") record.peer = picked.workload;
    this.#account.begin(cluster, picked, attempt.attempts > 1);
    this.#state = State.ACQUIRING;
    // Of HTTP's versions only gRPC's is known of the client: between sidecars HTTP/2 carries them all.
    this.#pool = pools.for((record.grpc ? picked.overHttp2 : undefined) ?? picked, record.source);
    this.#pool.acquire(cluster, this);
  }

  /** Tries again if the engine says so; otherwise it is over with `failure`. */
  #retryOr(outcome: Outcome, failure: Failure, detail: string): void {
    const delayMs = this.#retries.after(this.#plan, outcome);
    if (delayMs >= 0) this.#backOff(delayMs);
    else this.#fail(failure, detail);
  }

  /** Whether an answer is thrown away and the request sent again. */
  #retryAnswer(head: ResponseHead): boolean {
    const delayMs = this.#retries.afterAnswer(this.#plan, head);
    if (delayMs < 0) return false;
    const { grpc } = this.#record;
    this.#dropTry(head.status >= 500 || (grpc && readGrpcStatus(head.headers) === GrpcStatus.UNAVAILABLE));
    this.#backOff(delayMs);
    return true;
  }

  #backOff(delayMs: number): void {
    const { cluster } = this.#record;
    if (cluster !== undefined) this.#context.upstreamMetrics.of(cluster).retries.inc();
    this.#state = State.BACKOFF;
    if (delayMs < 1) this.#tryOnce();
    else this.#timer.arm(delayMs);
  }

  #armTimeout(): void {
    const perTryMs = this.#plan?.retry?.perTryTimeoutMs ?? 0;
    if (perTryMs > 0 && !this.#responseStarted) this.#timer.arm(perTryMs);
  }

  #onTimer(): void {
    if (this.#state === State.BACKOFF) {
      this.#tryOnce();
    } else if (this.#state === State.ACTIVE) {
      this.#account.note("per-try-timeout", 0, "");
      this.#account.unreached(true);
      this.#dropTry(true);
      this.#retryOr({ kind: "per-try-timeout" }, "per-try-timeout", "");
    }
  }

  #fail(failure: Failure, detail: string): void {
    const { attempt } = this.#record;
    const retries = this.#plan?.retry?.attempts ?? 0;
    if (retries > 0 && attempt.attempts > retries) this.#record.addFlag("URX");
    this.#end();
    this.#owner.onTriesFailed(failure, detail);
  }

  /** Cancels the try under way. */
  #dropTry(failed: boolean): void {
    const upstream = this.#upstream;
    this.#endTry(failed);
    upstream?.cancel();
  }

  /** Takes the try out of the load table. */
  #endTry(failed: boolean): void {
    this.#timer.disarm();
    this.#upstream = undefined;
    this.#account.end(failed);
  }

  #end(): void {
    this.#state = State.OVER;
    this.#timer.disarm();
    this.#body.forget();
  }
}
