import {
  grpcWebTranslation,
  hasSteps,
  internalRedirect,
  noteRedirect,
  route,
  type CallTranslation,
  type EdgeSettings,
  type EngineRequest,
  type FollowedRedirects,
  type HttpChain,
  type Plan,
  type Redirection,
  type ReplyPlan,
} from "@tulle/engine";
import {
  getHeader,
  NO_FIELDS,
  NO_GRPC_STATUS,
  type HeaderList,
  type Http1Error,
  type RequestHead,
  type ResponseHead,
} from "@tulle/http";

import { lacksKey } from "../connection/http1-upgrade.js";
import { RequestFields } from "../filters/request-headers.js";
import type { Failure } from "../rescue.js";
import {
  TranslatedCall,
  translatorOf,
  type TranslatedRequest,
  type Untranslatable,
} from "../translation/index.js";
import { AdmissionGate, type AdmissionGateOwner } from "./admission-gate.js";
import { bindRequest, isBound } from "./affinity.js";
import { AnswerBody, type AnswerBodyOwner } from "./answer-body.js";
import type { DownstreamStream, RequestHandler, RequestSource, ResetReason } from "./contract.js";
import { hashRequestId, type OwnView } from "./decision.js";
import { Destination, type DestinationOwner } from "./destination.js";
import { DownstreamResponse } from "./downstream-response.js";
import { readEdge } from "./edge-request.js";
import type { ExchangeContext } from "./exchange-context.js";
import { BLACK_HOLE } from "../telemetry/traffic-labels.js";
import { CLIENT_GONE, ExchangeRecord } from "./exchange-record.js";
import { ExchangeTimers, type ExchangeTimersOwner } from "./exchange-timers.js";
import {
  configuredReply,
  failureReply,
  malformedReply,
  untranslatableReply,
  type LocalReply,
} from "./local-reply.js";
import { Mirrors } from "./mirrors.js";
import { ownPlan } from "./own-plan.js";
import { isFailure } from "./retries.js";
import { TimeLimits } from "./time-limits.js";
import { Tries } from "./tries.js";
import type { TriesOwner } from "./tries-contract.js";

/** A body that is told before the request goes on must come in, where the listener does not say, milliseconds. */
const BODY_WAIT_MS = 60_000;

/** A tunnel in which nothing moves is cut after, as a TCP connection is. */
const TUNNEL_IDLE_TIMEOUT_MS = 3_600_000;

/** What it is called when an answer breaks off. */
const CUTS: Readonly<Record<ResetReason, Failure>> = {
  closed: "response-cut",
  reset: "response-reset",
  refused: "response-reset",
  "protocol-error": "response-invalid",
  "no-upgrade": "response-invalid",
};

const enum State {
  IDLE,
  /** Waits for configuration. */
  PARKED,
  /** Waits because a step of the chain says so. */
  DELAYED,
  /** Waits for what a step of the chain must know, or for the body that is told to ask for it. */
  ASKING,
  /** Its tries are under way. */
  FORWARDED,
  /** The upgrade that was asked for is made. */
  TUNNEL,
  /** The response is complete, or the client has gone. */
  DONE,
}

/**
 * One request and its response. A connection's requests come one after the other, so it has one of these and fills it
 * anew each time: no allocation, closure or promise per request.
 *
 * ```
 *  head ─► decide ─► PARKED ⟲           (configuration not here yet)
 *             ├────► DELAYED ⟲           (injected by a fault)
 *             ├────► ASKING ⟲            (an authorization service, …)
 *             ├────► reply ──► DONE      (redirect, fixed response, failure)
 *             └────► FORWARDED ─► DONE   (see Tries)
 *                        └─► TUNNEL ─► DONE
 * ```
 */
export class Exchange
  extends ExchangeRecord
  implements
    RequestHandler,
    DestinationOwner,
    AdmissionGateOwner,
    TranslatedRequest,
    TriesOwner,
    AnswerBodyOwner,
    ExchangeTimersOwner
{
  readonly #context: ExchangeContext;
  readonly #downstream: DownstreamStream;
  /** Who is answered: the client, or who translates for it. */
  #client: DownstreamStream;
  /** Of a call that is translated. */
  #translated: TranslatedCall | undefined;
  readonly #fields = new RequestFields();
  readonly #view: OwnView;
  readonly #destination: Destination;
  readonly #gate: AdmissionGate;
  readonly #tries: Tries;
  readonly #response: DownstreamResponse;
  readonly #body: AnswerBody;
  /** Made when a request is copied. */
  #mirrors: Mirrors | undefined;
  /** Made when a redirect is followed. */
  #followed: FollowedRedirects | undefined;
  /** The deadline is the route's timeout, or the time that a request may be parked. */
  readonly #timers: ExchangeTimers;
  #state: State = State.IDLE;
  readonly #limits: TimeLimits;
  #startMs = 0;
  /** Sent on and not answered. */
  #waits = false;

  constructor(context: ExchangeContext, downstream: DownstreamStream, source: RequestSource) {
    super(source);
    this.#context = context;
    this.#downstream = downstream;
    this.#client = downstream;
    this.#view = {
      snapshot: context.configuration.current,
      load: context.load,
      now: 0,
      wallMs: 0,
      entropy: 0,
    };
    this.#tries = new Tries(context, this, this.#fields, this.#view, this);
    const { rateLimited, facts, authorization } = context;
    this.#gate = new AdmissionGate(
      this,
      this.#tries.body,
      this.#view,
      this,
      rateLimited,
      facts,
      authorization,
    );
    this.#destination = new Destination(this, context, this.#view, !downstream.http2, this);
    this.#response = new DownstreamResponse(this, downstream, context);
    this.#body = new AnswerBody(this, downstream, context, this);
    this.#timers = new ExchangeTimers(context, this);
    this.#limits = new TimeLimits(context.clock, this.#timers, this, this.#fields);
  }

  // The client's side

  onRequestHead(head: RequestHead, refused: boolean): void {
    const { clock, authorities } = this.#context;
    this.clear(head, clock.now(), this.#downstream);
    this.#startMs = clock.monotonic();
    this.#state = State.IDLE;
    if (this.#translated !== undefined) this.#endTranslation();
    // What follows an upgrade is the tunnel's.
    this.requestDone = head.upgrade !== "";
    this.#response.clear();
    this.#followed = undefined;
    this.#tries.clear(head);
    this.request.fill(head, this.source, authorities);
    this.#fields.scan(head.headers);
    if (this.source.edge !== undefined) this.#enterMesh(head, this.source.edge);
    this.grpc = this.#fields.grpc && this.#downstream.http2 && head.upgrade === "";
    if (this.grpc) this.clearMessages();
    this.requestId = this.#fields.requestId === "" ? this.#context.newRequestId() : this.#fields.requestId;
    this.entropy = hashRequestId(this.requestId);
    this.#view.entropy = this.entropy;
    if (this.source.peerSpiffeId !== "" && this.#fields.peerMetadata !== "") {
      this.peer = this.source.peerOf(this.#fields.peerMetadata);
    }
    if (head.method === "CONNECT") this.#destination.find();
    else if (head.upgrade !== "" && !this.#downstream.http2 && lacksKey(head)) this.#fail("bad-upgrade", "");
    else if (refused) this.#fail("overload", "");
    else this.#destination.find();
  }

  /** What a client outside the mesh says of itself and its way is believed as far as the listener says. */
  #enterMesh(head: RequestHead, settings: EdgeSettings): void {
    this.edge = readEdge(head.headers, settings, this.source);
    this.request.scheme = this.edge.scheme;
    if (!this.edge.trusts) this.#fields.requestId = "";
  }

  onRequestBody(chunk: Buffer, start: number, end: number): void {
    this.bytesReceived += end - start;
    this.#timers.touch();
    if (this.#state === State.TUNNEL && this.#cutRevoked()) return;
    if (this.#state === State.DONE) return;
    if (this.#translated?.takesBody === true) this.#translated.translator.onRequestBody(chunk, start, end);
    else this.onTranslatedBody(chunk, start, end);
  }

  onTranslatedBody(chunk: Buffer, start: number, end: number): void {
    if (this.#state === State.DONE) return;
    if (this.grpc) this.requestMessages?.count(chunk, start, end);
    this.#mirrors?.onRequestBody(chunk, start, end);
    this.#tries.onRequestBody(chunk, start, end);
    if (this.#state === State.ASKING) this.#gate.onBody();
  }

  onRequestEnd(trailers: HeaderList): void {
    this.requestDone = true;
    if (this.#state === State.DONE) return;
    if (this.#translated?.takesBody === true) this.#translated.translator.onRequestEnd(trailers);
    else this.onTranslatedEnd(trailers);
  }

  onTranslatedEnd(trailers: HeaderList): void {
    if (this.#state === State.DONE) return;
    if (this.#state === State.FORWARDED) this.#limits.onRequestEnd();
    this.#mirrors?.onRequestEnd(trailers);
    this.#tries.onRequestEnd(trailers);
    if (this.#state !== State.ASKING) return;
    if (this.#translated?.awaits === undefined) this.#gate.onBody();
    else this.#sendWhole(this.#translated.awaits);
  }

  onUntranslatable(why: Untranslatable): void {
    this.#abandon();
    this.#end(untranslatableReply(this, why));
  }

  onDownstreamDrain(): void {
    this.#body.onDrain();
  }

  onDownstreamClose(): void {
    if (this.#isOver) return;
    this.addFlag("DC");
    this.responseCodeDetails = CLIENT_GONE;
    this.#abandon();
    this.#finish();
  }

  onDownstreamError(error: Http1Error): void {
    if (this.#isOver) return;
    this.#abandon();
    this.#end(malformedReply(this, error));
  }

  get bufferedBytes(): number {
    return this.#isOver ? 0 : this.#tries.bufferedBytes;
  }

  endIdle(share: number): void {
    this.#timers.endIdle(share);
  }

  shed(): boolean {
    if (this.#isOver) return false;
    this.#abandon();
    if (!this.#response.started) {
      this.#fail("overload", "");
      return true;
    }
    // What waits for the client is what takes the memory: it must go, whatever could still be said.
    this.addFlag("OM");
    this.responseCodeDetails = "overload_reset";
    this.#cut();
    return true;
  }

  get #isOver(): boolean {
    return this.#state === State.DONE || this.#state === State.IDLE;
  }

  // Deciding

  onRouted(chain: HttpChain, routed: Plan | ReplyPlan): void {
    this.#admit(chain, routed);
  }

  onConnected(): void {
    this.responseCode = 200;
    this.responseCodeDetails = "connect_accepted";
    this.#finish();
    this.#downstream.writeConnected(this.request.authority);
  }

  onNowhere(failure: Failure, detail: string): void {
    if (failure === "blocked") this.upstreamCluster = BLACK_HOLE.name;
    this.#fail(failure, detail);
  }

  onParked(timeoutMs: number): void {
    this.#state = State.PARKED;
    this.#timers.setDeadline(timeoutMs);
  }

  onUnparked(): void {
    this.#timers.clearDeadline();
  }

  #admit(chain: HttpChain, routed: Plan | ReplyPlan): void {
    this.#noteRoute(routed);
    if (hasSteps(chain, routed)) this.#gate.enter(chain, routed);
    else this.onAdmitted(routed);
  }

  #noteRoute(routed: Plan | ReplyPlan): void {
    this.routeName = routed.routeName;
    this.provenance = routed.provenance;
    const plan = routed.kind === "forward" ? routed : undefined;
    this.plan = plan;
    this.cluster = plan?.cluster;
    this.upstreamCluster = plan === undefined ? "" : plan.cluster.name;
  }

  onReroute(request: EngineRequest): void {
    if (this.chain === undefined) return;
    const routed = route(this.#view, this.chain, request);
    if (routed.kind === "no-route") {
      this.#fail("no-route", "");
      return;
    }
    this.#noteRoute(routed);
    this.#gate.rerouted(routed);
  }

  onAdmitted(routed: Plan | ReplyPlan): void {
    if (routed.kind === "forward") this.#forward(routed);
    else this.#replyAsRouted(routed);
  }

  onAdmissionDelay(ms: number): void {
    this.#state = State.DELAYED;
    this.#timers.setDeadline(ms);
  }

  onAdmissionAwaitsBody(): void {
    this.#state = State.ASKING;
    this.timeoutMs = this.chain?.requestTimeoutMs || BODY_WAIT_MS;
    this.#timers.setDeadline(this.timeoutMs);
    // Nobody else will tell the client that its body is wanted.
    const expects = getHeader(this.request.headers, "expect")?.toLowerCase() === "100-continue";
    if (expects) this.#downstream.writeInterim(100, "Continue", NO_FIELDS);
  }

  onAdmissionAsks(): void {
    this.#timers.clearDeadline();
    this.#state = State.ASKING;
  }

  onAdmissionAnswer(): void {
    this.#timers.clearDeadline();
    this.#view.now = this.#context.clock.monotonic();
    this.#gate.resume();
  }

  onAdmissionReply(reply: LocalReply): void {
    this.#answer(reply);
  }

  onAdmissionReset(): void {
    this.#cut();
  }

  onTranslation(translation: CallTranslation): void {
    if (this.#translated !== undefined) return;
    const translator = translatorOf(translation, this.#downstream, this);
    this.#translated = new TranslatedCall(translator);
    this.#answerTo(translator);
    this.grpc = true;
    this.#fields.grpc = true;
    this.clearMessages();
  }

  #answerTo(client: DownstreamStream): void {
    this.#client = client;
    this.#response.to(client);
    this.#body.to(client);
  }

  #endTranslation(): void {
    this.#translated = undefined;
    this.#answerTo(this.#downstream);
  }

  #forward(routed: Plan): void {
    const plan = this.#fields.controls ? ownPlan(this, routed) : routed;
    this.plan = plan;
    if (isBound(plan)) bindRequest(this, this.#view, plan);
    if (this.#translated === undefined) this.#send(plan);
    else this.#sendTranslated(plan, this.#translated);
  }

  #sendTranslated(plan: Plan, translated: TranslatedCall): void {
    translated.begin(this.#tries.body);
    // What came of the body may be nothing that can be translated.
    if (this.#state === State.DONE) return;
    if (!translated.translator.takesWholeBody || this.requestDone) {
      this.#send(plan);
      return;
    }
    translated.awaits = plan;
    // It may have been held back before it was known that all of it is wanted.
    this.resumeRequest();
    this.onAdmissionAwaitsBody();
  }

  /** The body that a call waited for is here. */
  #sendWhole(plan: Plan): void {
    if (this.#translated !== undefined) this.#translated.awaits = undefined;
    this.#timers.clearDeadline();
    this.#send(plan);
  }

  #send(plan: Plan): void {
    this.#state = State.FORWARDED;
    this.#waits = true;
    this.#context.overload.onSent();
    this.#limits.begin(this.chain, plan, this.#startMs);
    if (plan.mirrors !== undefined) {
      this.#mirrors ??= new Mirrors(this.#context, this, this.#fields, this.#view);
      this.#mirrors.start(plan, plan.mirrors, this.#tries.body);
    }
    this.#tries.start(plan);
  }

  #replyAsRouted(routed: ReplyPlan): void {
    this.responseCodeDetails = "direct_response";
    const { status, body, bytes, responseHeaders } = routed;
    const headers = routed.headers(this.request);
    this.#answer(configuredReply(this, status, body, headers, responseHeaders, bytes));
  }

  // The server's side

  onResponseInterim(head: ResponseHead): void {
    this.#response.writeInterim(head);
  }

  onResponseHead(head: ResponseHead, serviceTimeMs: number): void {
    this.#endWait();
    this.#timers.touch();
    this.#timers.clearRequest();
    this.#response.writeHead(head, serviceTimeMs, this.#isRetriedBelow(head));
    if (this.admission !== undefined) this.#body.begin(this.admission);
  }

  #endWait(): void {
    if (!this.#waits) return;
    this.#waits = false;
    this.#context.overload.onAnswered();
  }

  redirectOf(head: ResponseHead): Redirection | undefined {
    const { chain, plan, request } = this;
    // The request is not any more what its client sent.
    if (chain === undefined || plan === undefined || this.#translated !== undefined) return undefined;
    this.#followed ??= { count: 0, ways: [] };
    const found = internalRedirect(this.#view, chain, plan, request, head, this.#followed);
    if (typeof found === "string") return undefined;
    noteRedirect(this.#followed, plan, found);
    return found;
  }

  onRedirected({ request, routed }: Redirection, status: number): void {
    const { chain } = this;
    if (chain === undefined) return;
    this.#endWait();
    if (this.admission !== undefined) {
      this.responseCode = status;
      this.#gate.leave(this.#context.clock.monotonic());
      this.responseCode = 0;
      this.admission = undefined;
    }
    this.#timers.clearDeadline();
    this.clearAttempt();
    this.request.redirect(request);
    this.#fields.scan(request.headers);
    this.#state = State.IDLE;
    this.#admit(chain, routed);
  }

  /** Whether an inbound answer is a failure of calls that the application made for it, and that were tried again. */
  #isRetriedBelow(head: ResponseHead): boolean {
    if (this.source.peerSpiffeId === "" || !isFailure(head, this.grpc)) return false;
    return this.#context.load.takeRetried(this.#view.entropy, this.#context.clock.now());
  }

  onSwitched(head: ResponseHead, serviceTimeMs: number): void {
    this.#state = State.TUNNEL;
    this.#endWait();
    this.#timers.clearDeadline();
    this.#timers.watchIdle(TUNNEL_IDLE_TIMEOUT_MS, this.#context.clock.monotonic());
    this.#response.writeSwitched(head, serviceTimeMs);
    if (this.admission !== undefined) this.#gate.leave(this.#context.clock.monotonic());
  }

  onResponseBody(chunk: Buffer, start: number, end: number): boolean {
    return this.#body.write(chunk, start, end);
  }

  onAnswerBytes(): boolean {
    this.#timers.touch();
    return this.#state === State.TUNNEL && this.#cutRevoked();
  }

  onResponseEnd(trailers: HeaderList): void {
    this.#body.end(trailers);
  }

  onAnswerReset(): void {
    this.#abandon();
    this.#cut();
  }

  resumeAnswer(): void {
    this.#tries.resumeResponse();
  }

  onAnswerEnd(trailers: HeaderList): void {
    this.#finish();
    this.#client.writeEnd(trailers);
  }

  /** Cuts the tunnel when its client is not let in any more. */
  #cutRevoked(): boolean {
    if (!this.source.revoked) return false;
    this.responseCodeDetails = "listener_changed";
    this.#abandon();
    this.#cut();
    return true;
  }

  onTunnelHalfEnd(): void {
    this.#downstream.writeEnd(NO_FIELDS);
  }

  onTunnelEnd(): void {
    this.#finish();
  }

  onResponseCut(reason: ResetReason): void {
    this.#fail(CUTS[reason], this.upstreamTransportFailureReason);
  }

  onTriesFailed(failure: Failure, detail: string): void {
    this.#fail(failure, detail);
  }

  pauseRequest(): void {
    this.#downstream.pauseRequest();
  }

  resumeRequest(): void {
    this.#downstream.resumeRequest();
  }

  // Time

  onDeadline(): void {
    if (this.#state === State.PARKED) {
      this.#fail("not-ready", "");
    } else if (this.#state === State.DELAYED) {
      this.#view.now = this.#context.clock.monotonic();
      this.#gate.resume();
    } else if (this.#state === State.ASKING) {
      this.#abandon();
      this.#fail("request-too-slow", "");
    } else if (this.#state === State.FORWARDED) {
      if (this.cluster !== undefined) this.#context.upstreamMetrics.of(this.cluster).timeouts.inc();
      this.#tries.onTimeout();
      this.#abandon();
      this.#fail("request-timeout", "");
    }
  }

  onIdle(): void {
    this.#timeOut("idle-timeout");
  }

  onRequestTooSlow(): void {
    this.#timeOut("request-too-slow");
  }

  onTooLong(): void {
    this.#timeOut("max-duration");
  }

  #timeOut(failure: Failure): void {
    if (this.#state !== State.FORWARDED && this.#state !== State.TUNNEL) return;
    this.#abandon();
    this.#fail(failure, "");
  }

  // Ending

  #abandon(): void {
    this.#destination.giveUp();
    this.#tries.abandon();
  }

  #fail(failure: Failure, reason: string): void {
    this.#destination.giveUp();
    if (this.#translated === undefined && this.chain !== undefined) this.#translateFailure(this.chain);
    this.#end(failureReply(this, failure, reason));
  }

  /** What happens before any step is asked is told in the client's language nevertheless. */
  #translateFailure(chain: HttpChain): void {
    if (this.#response.started) return;
    const translation = grpcWebTranslation(chain, this.request);
    if (translation !== undefined) this.onTranslation(translation);
  }

  /** Answers, unless an answer is under way already. */
  #end(reply: LocalReply): void {
    if (!this.#response.started) this.#answer(reply);
    else if (reply.grpcStatus === NO_GRPC_STATUS) this.#cut();
    else this.#endGrpc(reply);
  }

  /** The telemetry's other fields are set before. */
  #answer(reply: LocalReply): void {
    if (this.#translated !== undefined) this.#translated.translator.localStatus = reply.httpStatus;
    this.#response.writeReply(reply);
    this.#finish();
    this.#client.writeEnd(NO_FIELDS);
  }

  /** Ends a gRPC call that has begun to be answered: what came still counts, and the status says that no more will. */
  #endGrpc(reply: LocalReply): void {
    this.grpcStatus = reply.grpcStatus;
    const trailers = this.#response.trailersOf(reply);
    this.#finish();
    this.#client.writeEnd(trailers);
  }

  /** The client must notice that its response is not complete. */
  #cut(): void {
    this.#finish();
    this.#client.reset();
  }

  /** Tells telemetry. Comes before the last call downstream, which may start the next request on this object. */
  #finish(): void {
    this.#state = State.DONE;
    this.#endWait();
    this.#timers.stop();
    this.#mirrors?.abandon();
    const now = this.#context.clock.monotonic();
    if (this.admission !== undefined) {
      this.#gate.leave(now);
      this.#body.stop();
    }
    this.durationMs = now - this.#startMs;
    this.#context.onExchangeDone(this);
    // Whoever waits for a next request, perhaps for an hour, keeps nothing of the last.
    this.request.headers = NO_FIELDS;
    this.responseHeaders = NO_FIELDS;
  }
}
