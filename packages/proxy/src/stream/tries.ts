import type { WheelTimer } from "@tulle/base";
import {
  countFirstTry,
  currentCluster,
  pick,
  type ClusterPart,
  type Outcome,
  type Plan,
  type RedirectPlan,
} from "@tulle/engine";
import { type HeaderList, type RequestHead, type ResponseHead, NO_FIELDS, NO_GRPC_STATUS } from "@tulle/http";

import type { RequestFields } from "../filters/request-headers.js";
import type { Failure } from "../rescue.js";
import type { UpstreamPool } from "../upstream/upstream-pool.js";
import type { AcquireFailure, ResetReason, UpstreamStream, UpstreamWaiter } from "./contract.js";
import type { OwnView } from "./decision.js";
import type { EndpointWaiter } from "./endpoint-waits.js";
import type { ExchangeRecord } from "./exchange-record.js";
import type { HedgedTry, HedgedTryOwner } from "./hedged-try.js";
import { Hedges } from "./hedges.js";
import { IdleTimer } from "./idle-timer.js";
import { RequestBody } from "./request-body.js";
import { RESET_FAILURES, resetOutcome } from "./reset-outcome.js";
import { isFailure, Retries } from "./retries.js";
import type { TriesContext, TriesOwner } from "./tries-contract.js";
import { TryAccount } from "./try-account.js";
import { requestHeadersOf, requestMethodOf, requestTargetOf } from "./upstream-request.js";

const enum State {
  /** No way is chosen yet; what comes of the body is kept. */
  IDLE,
  /** Waits for an endpoint that is ready. */
  WAITING,
  /** Waits for a connection. */
  ACQUIRING,
  ACTIVE,
  /** The upgrade that was asked for is made. */
  TUNNEL,
  /** Tries beside this one go on, which has failed. */
  HEDGED,
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
 *
 * Before ACQUIRING it is WAITING where no endpoint is ready and the cluster has requests wait for one.
 *
 * Where the route hedges, more tries run beside this one (`Hedges`); the one whose answer is good first takes its place.
 */
export class Tries implements UpstreamWaiter, HedgedTryOwner, EndpointWaiter {
  waitUntilMs = 0;
  readonly #context: TriesContext;
  readonly #record: ExchangeRecord;
  readonly #fields: RequestFields;
  readonly #owner: TriesOwner;
  readonly #body: RequestBody;
  readonly #retries: Retries;
  #account: TryAccount;
  /** One timer for what comes one after the other: a try's own timeout, and the wait before the next. */
  readonly #timer: WheelTimer;
  /** Of those whose policy has a time in which something must move. */
  #idle: IdleTimer | undefined;
  /** Of those whose route hedges. */
  #hedges: Hedges | undefined;
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
    this.#owner = owner;
    this.#body = new RequestBody(context);
    this.#retries = new Retries(context, record, fields, view, this.#body);
    this.#account = new TryAccount(context.load, context.clock, record.tries, context.outliers);
    this.#timer = context.fineWheel.timer(() => this.#onTimer());
  }

  /** The request's, as far as it has come. */
  get body(): RequestBody {
    return this.#body;
  }

  /** Bytes of the request that wait to be sent, or sent again. */
  get bufferedBytes(): number {
    return this.#body.heldBytes + (this.#upstream?.bufferedBytes ?? 0);
  }

  /** Prepares for a new request. */
  clear(head: RequestHead): void {
    this.#state = State.IDLE;
    this.waitUntilMs = 0;
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
    this.#body.keep = plan.retry !== undefined || plan.hedge !== undefined || plan.redirects !== undefined;
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
    const owed = this.#state === State.ACTIVE && !this.#responseStarted;
    if (owed || (this.#state === State.ACQUIRING && !this.#isLimited)) this.#account.unreached(true);
  }

  /** Whether no connection can be made because there are as many as there may be. */
  get #isLimited(): boolean {
    const { cluster } = this.#record;
    return cluster === undefined || this.#pool?.isFull(cluster) !== false;
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
    const { peerMetadata, clock } = this.#context;
    const headers = requestHeadersOf(record, this.#fields, plan, endpoint, peerMetadata, clock.monotonic());
    const target = requestTargetOf(record, plan);
    if (request.upgrade !== "") {
      stream.writeUpgrade(request.upgrade, target, headers);
      this.#armTimeout();
      return;
    }
    stream.writeHead(requestMethodOf(record), target, headers, this.#body.expected, this.#body.contentLength);
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
    if (this.#othersGoOn()) return;
    if (failure === "overflow") this.#fail("overflow", "");
    else this.#retryOr({ kind: "connect-failure" }, failure, detail);
  }

  onUpstreamInterim(head: ResponseHead): void {
    this.#owner.onResponseInterim(head);
  }

  onUpstreamHead(head: ResponseHead): void {
    this.#account.note("answered", head.status, "");
    this.#account.answered(head, this.#record.grpc);
    if (this.#hedges !== undefined && this.#hedges.live > 0 && this.#isPassedOver(head)) return;
    const { grpc } = this.#record;
    const mayBeBad = head.status >= 400 || grpc || this.#plan?.retry?.looksAtEveryAnswer === true;
    if (mayBeBad && this.#retryAnswer(head)) return;
    if (this.#plan?.redirects !== undefined && this.#followRedirect(this.#plan.redirects, head)) return;
    this.#responseStarted = true;
    this.#timer.disarm();
    this.#idle?.touch();
    this.#hedges?.cancel();
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
    this.#idle?.touch();
    if (!this.#owner.onResponseBody(chunk, start, end)) this.#upstream?.pauseResponse();
  }

  onUpstreamEnd(trailers: HeaderList): void {
    if (this.#state === State.TUNNEL && !this.#body.done) {
      this.#tunnelHalfEnded = true;
      this.#owner.onTunnelHalfEnd();
      return;
    }
    this.#account.ended(trailers);
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
    } else if (!this.#othersGoOn()) {
      const failure = RESET_FAILURES[reason];
      const outcome = resetOutcome(reason, stream);
      const why = reason === "no-upgrade" ? this.#record.request.upgrade : detail;
      if (outcome === undefined) this.#fail(failure, why);
      else this.#retryOr(outcome, failure, why);
    }
  }

  onHedgeHead(hedge: HedgedTry, head: ResponseHead): void {
    if (this.#isOneOfMany && isFailure(head, this.#record.grpc)) {
      hedge.account.note("answered", head.status, "");
      hedge.account.answered(head, this.#record.grpc);
      this.#hedges?.remove(hedge);
      hedge.cancel(true);
      return;
    }
    this.#adopt(hedge);
    this.onUpstreamHead(head);
  }

  onHedgeFailed(hedge: HedgedTry, outcome: Outcome | undefined, failure: Failure, detail: string): void {
    const isLast = !this.#isOneOfMany;
    this.#hedges?.remove(hedge);
    if (!isLast) return;
    this.#noteEndpoint(hedge);
    this.#record.upstreamTransportFailureReason = detail;
    if (outcome === undefined) this.#fail(failure, detail);
    else this.#retryOr(outcome, failure, detail);
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
    const { pools } = this.#context;
    const record = this.#record;
    const { attempt } = record;
    const view = this.#retries.refreshView();
    const outside = plan.cluster.originalDestination ? record.outside : undefined;
    const picked = outside ?? pick(view, plan, attempt);
    // A retry sees the cluster as it is now, which pick looked at too.
    const cluster = currentCluster(view, plan, attempt);
    if ("kind" in picked) {
      if (picked.flag === "UO") this.#fail("overflow", "");
      else if (cluster.endpointWait === undefined) this.#fail("no-healthy-upstream", "");
      else this.#awaitEndpoint(cluster);
      return;
    }
    if (cluster.endpointWait !== undefined) this.#context.endpointWaits.onReady(cluster.name);
    if (attempt.attempts === 0 && this.#body.keep) countFirstTry(view, cluster);
    attempt.attempts++;
    attempt.triedSlots.push(picked.slot);
    this.#noteEndpoint({ cluster, endpoint: picked });
    this.#account.begin(cluster, picked, attempt.attempts > 1);
    this.#state = State.ACQUIRING;
    // Of HTTP's versions only gRPC's is known of the client: between sidecars HTTP/2 carries them all.
    this.#pool = pools.for((record.grpc ? picked.overHttp2 : undefined) ?? picked, record.source);
    this.#pool.acquire(cluster, this);
  }

  #awaitEndpoint(cluster: ClusterPart): void {
    this.#state = State.WAITING;
    this.#record.cluster = cluster;
    const refusal = this.#context.endpointWaits.wait(cluster, this);
    if (refusal !== undefined) this.#fail(refusal === "full" ? "endpoint-wait-full" : "fail-fast", "");
  }

  onLookAgain(): void {
    this.#tryOnce();
  }

  onEndpointTimeout(): void {
    this.#fail("endpoint-wait-timeout", "");
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
    this.#dropTry(isFailure(head, this.#record.grpc));
    this.#backOff(delayMs);
    return true;
  }

  /** Whether an answer is a redirect that the owner follows. Only a request that is complete can be sent once more. */
  #followRedirect({ statuses }: RedirectPlan, head: ResponseHead): boolean {
    if (!statuses.has(head.status)) return false;
    const { cluster, request } = this.#record;
    const mayBeSentAgain = this.#body.done && this.#body.replayable && request.upgrade === "";
    const redirection = mayBeSentAgain ? this.#owner.redirectOf(head) : undefined;
    const traffic = cluster && this.#context.upstreamMetrics.of(cluster);
    if (redirection === undefined) {
      traffic?.redirectsNotFollowed.inc();
      return false;
    }
    traffic?.redirectsFollowed.inc();
    this.#dropTry(false);
    this.#hedges?.cancel();
    this.#state = State.IDLE;
    if (redirection.dropsBody) this.#body.drop();
    this.#owner.onRedirected(redirection, head.status);
    return true;
  }

  #backOff(delayMs: number): void {
    const { cluster } = this.#record;
    if (cluster !== undefined) this.#context.upstreamMetrics.of(cluster).retries.inc();
    this.#state = State.BACKOFF;
    // The next try begins anew what runs beside it.
    this.#hedges?.cancel();
    if (delayMs < 1) this.#tryOnce();
    else this.#timer.arm(delayMs);
  }

  /** The request has been sent whole. */
  #armTimeout(): void {
    const plan = this.#plan;
    if (plan === undefined || this.#responseStarted) return;
    if (plan.retry !== undefined) {
      if (plan.retry.perTryTimeoutMs > 0) this.#timer.arm(plan.retry.perTryTimeoutMs);
      if (plan.retry.perTryIdleTimeoutMs > 0) this.#watchIdle(plan.retry.perTryIdleTimeoutMs);
    }
    if (plan.hedge !== undefined) this.#hedgesOf().begin(plan);
  }

  #onTimer(): void {
    if (this.#state === State.BACKOFF) {
      this.#tryOnce();
    } else if (this.#state === State.ACTIVE || this.#state === State.HEDGED) {
      if (this.#goesOnBeside()) return;
      this.#hedges?.cancel();
      this.#account.note("per-try-timeout", 0, "");
      this.#account.unreached(true);
      this.#dropTry(true);
      this.#retryOr({ kind: "per-try-timeout" }, "per-try-timeout", "");
    }
  }

  #watchIdle(ms: number): void {
    const { clock, coarseWheel, fineWheel } = this.#context;
    // The wheel of minutes would be late by half of a short time.
    const wheel = ms < 10_000 ? fineWheel : coarseWheel;
    this.#idle ??= new IdleTimer(clock, wheel, () => this.#onIdle());
    this.#idle.watch(ms, clock.monotonic());
  }

  #onIdle(): void {
    if (this.#state !== State.ACTIVE) return;
    this.#account.note("per-try-idle-timeout", 0, "");
    this.#account.unreached(true);
    this.#dropTry(true);
    if (this.#responseStarted) this.#fail("per-try-idle-timeout", "");
    else if (!this.#othersGoOn()) this.#retryOr({ kind: "per-try-idle-timeout" }, "per-try-idle-timeout", "");
  }

  // Tries beside this one

  #hedgesOf(): Hedges {
    const [context, record, fields, body] = [this.#context, this.#record, this.#fields, this.#body];
    return (this.#hedges ??= new Hedges({ context, record, fields, body, owner: this }, this.#retries));
  }

  /** Whether the try that took too long goes on, and one of the retries beside it, or the deadline ends both. */
  #goesOnBeside(): boolean {
    const plan = this.#plan;
    if (plan?.hedge?.onPerTryTimeout !== true || this.#record.request.upgrade !== "") return false;
    if (this.#hedgesOf().addRetry(plan)) {
      // It may have been answered at once.
      if (!this.#responseStarted && this.#isOneOfMany) this.#timer.arm(plan.retry?.perTryTimeoutMs ?? 0);
      return true;
    }
    return (this.#record.attempt.deadlineMs ?? 0) > 0;
  }

  /** Whether more than one try is under way, or one besides that which asks. */
  get #isOneOfMany(): boolean {
    const own = this.#state === State.ACTIVE || this.#state === State.ACQUIRING ? 1 : 0;
    return own + (this.#hedges?.live ?? 0) > 1;
  }

  /** Whether tries beside this one, which is over, go on. */
  #othersGoOn(): boolean {
    if (this.#hedges === undefined || this.#hedges.live === 0) return false;
    this.#state = State.HEDGED;
    const perTryMs = this.#plan?.retry?.perTryTimeoutMs ?? 0;
    if (perTryMs > 0) this.#timer.arm(perTryMs);
    return true;
  }

  /** A failure counts only when it is the last answer. */
  #isPassedOver(head: ResponseHead): boolean {
    if (!isFailure(head, this.#record.grpc)) return false;
    this.#dropTry(true);
    return this.#othersGoOn();
  }

  /** Takes the place of the own try. */
  #adopt(hedge: HedgedTry): void {
    const hedges = this.#hedges;
    this.#pool?.withdraw(this);
    this.#pool = undefined;
    this.#dropTry(false);
    hedges?.remove(hedge);
    hedges?.cancel();
    hedge.adopted = true;
    [this.#account, hedge.account] = [hedge.account, this.#account];
    this.#upstream = hedge.stream;
    this.#state = State.ACTIVE;
    this.#noteEndpoint(hedge);
    this.#record.upstreamLocalAddress = hedge.stream?.localAddress ?? "";
    const idleMs = this.#plan?.retry?.perTryIdleTimeoutMs ?? 0;
    if (idleMs > 0) this.#watchIdle(idleMs);
  }

  #noteEndpoint({ cluster, endpoint }: Pick<HedgedTry, "cluster" | "endpoint">): void {
    const record = this.#record;
    record.cluster = cluster;
    record.endpoint = endpoint;
    record.upstreamHost = endpoint.key;
    if (record.source.direction === "outbound") record.peer = endpoint.workload;
  }

  #fail(failure: Failure, detail: string): void {
    const { attempt } = this.#record;
    const retries = this.#plan?.retry?.attempts ?? 0;
    if (retries > 0 && attempt.attempts > retries) this.#record.addFlag("URX");
    if (attempt.attempts > 1) this.#retries.noteUsedUp();
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
    this.#idle?.stop();
    this.#upstream = undefined;
    this.#account.end(failed);
  }

  #end(): void {
    const { cluster } = this.#record;
    if (this.#state === State.WAITING && cluster !== undefined)
      this.#context.endpointWaits.withdraw(cluster.name, this);
    this.#state = State.OVER;
    this.#timer.disarm();
    this.#hedges?.cancel();
    this.#body.forget();
  }
}
