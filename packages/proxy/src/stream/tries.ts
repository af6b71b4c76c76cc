import type { Clock, TimerWheel, WheelTimer } from "@tulle/base";
import {
  next,
  pick,
  type DecisionView,
  type LoadTable,
  type Outcome,
  type Plan,
  type SnapshotSource,
} from "@tulle/engine";
import {
  type HeaderList,
  type RequestHead,
  type ResponseHead,
  GrpcStatus,
  NO_GRPC_STATUS,
  readGrpcStatus,
} from "@tulle/http";

import { upstreamRequestHeaders, type RequestFields } from "../filters/request-headers.js";
import { toldUpstreamFailure } from "../filters/upstream-failure.js";
import type { Failure } from "../rescue.js";
import type { UpstreamMetrics } from "../telemetry/upstream-metrics.js";
import type { UpstreamPool, UpstreamPools } from "../upstream/upstream-pools.js";
import { BodyBuffer, MAX_REPLAY_BYTES } from "./body-buffer.js";
import type { AcquireFailure, ResetReason, UpstreamStream, UpstreamWaiter } from "./contract.js";
import type { ExchangeRecord } from "./exchange-record.js";

/** What tries share. */
export interface TriesContext {
  readonly clock: Clock;
  readonly configuration: SnapshotSource;
  readonly load: LoadTable;
  readonly pools: UpstreamPools;
  readonly upstreamMetrics: UpstreamMetrics;
  /** For timeouts of a request. */
  readonly fineWheel: TimerWheel;
  /** Own workload, told to the next sidecar. */
  readonly peerMetadata: string;
}

/** Who the tries are made for. After one of the last three nothing more comes. */
export interface TriesOwner {
  onResponseInterim(head: ResponseHead): void;
  onResponseHead(head: ResponseHead, serviceTimeMs: number): void;
  /** Borrowed bytes. Returns false when the upstream must wait for `resumeResponse`. */
  onResponseBody(chunk: Buffer, start: number, end: number): boolean;
  onResponseEnd(trailers: HeaderList): void;
  /** The response broke off after its head. */
  onResponseCut(reason: ResetReason): void;
  /** There will be no response. */
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
 *               ▲           │
 *               └─ BACKOFF ◄┘ (engine.next)
 * ```
 */
export class Tries implements UpstreamWaiter {
  readonly #context: TriesContext;
  readonly #record: ExchangeRecord;
  readonly #fields: RequestFields;
  readonly #view: { -readonly [Key in keyof DecisionView]: DecisionView[Key] };
  readonly #owner: TriesOwner;
  readonly #body = new BodyBuffer();
  /** One timer for what comes one after the other: a try's own timeout, and the wait before the next. */
  readonly #timer: WheelTimer;
  #state: State = State.IDLE;
  #plan: Plan | undefined;
  #hasBody = false;
  #contentLength = 0;
  #requestDone = false;
  #responseStarted = false;
  /** Whether another try may need the body. */
  #keepBody = false;
  #upstream: UpstreamStream | undefined;
  #pool: UpstreamPool | undefined;
  /** A try is counted in the load table. */
  #counted = false;
  #startMs = 0;

  constructor(
    context: TriesContext,
    record: ExchangeRecord,
    fields: RequestFields,
    view: { -readonly [Key in keyof DecisionView]: DecisionView[Key] },
    owner: TriesOwner,
  ) {
    this.#context = context;
    this.#record = record;
    this.#fields = fields;
    this.#view = view;
    this.#owner = owner;
    this.#timer = context.fineWheel.timer(() => this.#onTimer());
  }

  /** Prepares for a new request. */
  clear(head: RequestHead): void {
    this.#state = State.IDLE;
    this.#plan = undefined;
    this.#hasBody = head.framing !== "none";
    this.#contentLength = head.contentLength;
    this.#requestDone = false;
    this.#responseStarted = false;
    this.#keepBody = false;
    this.#upstream = undefined;
    this.#pool = undefined;
    this.#counted = false;
    this.#body.reset();
  }

  /** Sends the request the way that was chosen. */
  start(plan: Plan): void {
    this.#plan = plan;
    this.#keepBody = plan.retry !== undefined;
    this.#tryOnce();
  }

  /** Borrowed bytes of the request's body. */
  onRequestBody(chunk: Buffer, start: number, end: number): void {
    switch (this.#state) {
      case State.ACTIVE:
        this.#sendBody(chunk, start, end);
        break;
      case State.OVER:
        break;
      default:
        this.#body.append(chunk, start, end);
        if (this.#body.bytes >= MAX_REPLAY_BYTES) this.#owner.pauseRequest();
    }
  }

  onRequestEnd(trailers: HeaderList): void {
    this.#requestDone = true;
    this.#body.setTrailers(trailers);
    if (this.#state !== State.ACTIVE) return;
    this.#upstream?.writeEnd(trailers);
    this.#armTimeout();
  }

  /** The client took what it was given. */
  resumeResponse(): void {
    this.#upstream?.resumeResponse();
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
    const { endpoint, cluster, request, source } = record;
    if (plan === undefined || endpoint === undefined || cluster === undefined) {
      stream.cancel();
      return;
    }
    this.#pool = undefined;
    this.#upstream = stream;
    this.#state = State.ACTIVE;
    record.upstreamLocalAddress = stream.localAddress;
    this.#context.upstreamMetrics.of(cluster).requests.inc();
    const outbound = source.direction === "outbound";
    const headers = upstreamRequestHeaders(request.headers, this.#fields, {
      direction: source.direction,
      host: plan.rewriteAuthority ?? request.host,
      requestId: record.requestId,
      scheme: request.scheme,
      attempt: record.attempt.attempts,
      peerMetadata: outbound && endpoint.tls !== undefined ? this.#context.peerMetadata : "",
      forwardedClientCert: source.forwardedClientCert,
      mutations: plan.requestHeaders,
    });
    const target = plan.rewritePath === undefined ? request.path : plan.rewritePath(request.path);
    stream.writeHead(request.method, target, headers, this.#hasBody, this.#contentLength);
    const writable = this.#body.replayTo(stream);
    if (!this.#keepBody && this.#hasBody) this.#body.release();
    if (this.#requestDone) {
      stream.writeEnd(this.#body.trailers);
      this.#armTimeout();
    } else if (writable) this.#owner.resumeRequest();
    else this.#owner.pauseRequest();
  }

  onUpstreamUnavailable(failure: AcquireFailure, detail: string): void {
    this.#pool = undefined;
    this.#record.upstreamTransportFailureReason = detail;
    this.#endTry(failure !== "overflow");
    if (failure === "overflow") this.#fail("overflow", "");
    else this.#retryOr({ kind: "connect-failure" }, failure, detail);
  }

  onUpstreamInterim(head: ResponseHead): void {
    this.#owner.onResponseInterim(head);
  }

  onUpstreamHead(head: ResponseHead): void {
    if (head.status === 101) {
      // Nothing asked for an upgrade: what follows would not be HTTP.
      this.#dropTry(true);
      this.#fail("upstream-protocol-error", "unsolicited 101");
      return;
    }
    if ((head.status >= 400 || this.#record.grpc) && this.#retryAnswer(head)) return;
    this.#responseStarted = true;
    this.#timer.disarm();
    this.#body.release();
    this.#owner.onResponseHead(head, Math.round(this.#context.clock.monotonic() - this.#startMs));
  }

  onUpstreamBody(chunk: Buffer, start: number, end: number): void {
    if (!this.#owner.onResponseBody(chunk, start, end)) this.#upstream?.pauseResponse();
  }

  onUpstreamEnd(trailers: HeaderList): void {
    this.#endTry(this.#record.responseCode >= 500);
    this.#end();
    this.#owner.onResponseEnd(trailers);
  }

  onUpstreamDrain(): void {
    if (!this.#requestDone) this.#owner.resumeRequest();
  }

  onUpstreamReset(reason: ResetReason, detail: string): void {
    const stream = this.#upstream;
    this.#record.upstreamTransportFailureReason = detail;
    this.#endTry(true);
    if (this.#responseStarted) {
      this.#end();
      this.#owner.onResponseCut(reason);
    } else if (reason === "protocol-error") {
      this.#fail("upstream-protocol-error", detail);
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

  #tryOnce(): void {
    const plan = this.#plan;
    if (plan === undefined) return;
    const { configuration, load, pools, clock } = this.#context;
    const record = this.#record;
    const { attempt } = record;
    this.#view.snapshot = configuration.current;
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
    load.begin(cluster.slot, picked.slot, attempt.attempts > 1);
    this.#counted = true;
    this.#state = State.ACQUIRING;
    this.#startMs = clock.monotonic();
    this.#pool = pools.for(picked);
    this.#pool.acquire(cluster, this);
  }

  #sendBody(chunk: Buffer, start: number, end: number): void {
    if (this.#keepBody && this.#body.replayable) {
      if (this.#body.bytes + end - start > MAX_REPLAY_BYTES) this.#body.release();
      else this.#body.append(chunk, start, end);
    }
    if (this.#upstream?.writeBody(chunk, start, end) === false) this.#owner.pauseRequest();
  }

  /** Tries again if the engine says so; otherwise it is over with `failure`. */
  #retryOr(outcome: Outcome, failure: Failure, detail: string): void {
    const delayMs = this.#nextTry(outcome);
    if (delayMs >= 0) this.#backOff(delayMs);
    else this.#fail(failure, detail);
  }

  /** Whether an answer is thrown away and the request sent again. */
  #retryAnswer(head: ResponseHead): boolean {
    if (this.#plan?.retry === undefined) return false;
    const { status } = head;
    const { grpc } = this.#record;
    const grpcStatus = grpc ? readGrpcStatus(head.headers) : NO_GRPC_STATUS;
    if (status < 400 && grpcStatus <= 0) return false;
    const told =
      (status === 503 || grpc) && this.#record.endpoint?.tls !== undefined
        ? toldUpstreamFailure(head.headers)
        : undefined;
    let delayMs = told === undefined ? -1 : this.#nextTry(told);
    if (delayMs < 0) delayMs = this.#nextTry({ kind: "response", status, grpcStatus });
    if (delayMs < 0) return false;
    this.#dropTry(status >= 500 || grpcStatus === GrpcStatus.UNAVAILABLE);
    this.#backOff(delayMs);
    return true;
  }

  /** Milliseconds until the next try, or negative. */
  #nextTry(outcome: Outcome): number {
    const plan = this.#plan;
    if (plan?.retry === undefined || !this.#body.replayable) return -1;
    this.#view.snapshot = this.#context.configuration.current;
    return next(this.#view, plan, this.#record.request, this.#record.attempt, outcome);
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
    const { cluster, endpoint, attempt } = this.#record;
    if (!this.#counted || cluster === undefined || endpoint === undefined) return;
    this.#counted = false;
    const { load, clock } = this.#context;
    load.end(cluster.slot, endpoint.slot, attempt.attempts > 1);
    load.observe(endpoint.slot, clock.monotonic() - this.#startMs, failed);
  }

  #end(): void {
    this.#state = State.OVER;
    this.#timer.disarm();
    this.#body.reset();
  }
}
