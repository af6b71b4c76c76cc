import { type ClusterPart, type EndpointPart, type Outcome, type Plan } from "@tulle/engine";
import type { HeaderList, ResponseHead } from "@tulle/http";

import type { RequestFields } from "../filters/request-headers.js";
import type { Failure } from "../rescue.js";
import type { UpstreamPool } from "../upstream/upstream-pool.js";
import type {
  AcquireFailure,
  ResetReason,
  UpstreamHandler,
  UpstreamStream,
  UpstreamWaiter,
} from "./contract.js";
import type { ExchangeRecord } from "./exchange-record.js";
import type { RequestBody } from "./request-body.js";
import { RESET_FAILURES, resetOutcome } from "./reset-outcome.js";
import type { TriesContext } from "./tries-contract.js";
import { TryAccount } from "./try-account.js";
import { requestHeadersOf, requestMethodOf, requestTargetOf } from "./upstream-request.js";

/** Who the try is made for. Once it is adopted, the owner gets its events as if they were its own try's. */
export interface HedgedTryOwner extends UpstreamHandler {
  /** An answer begins. The owner adopts the try or drops it. */
  onHedgeHead(hedge: HedgedTry, head: ResponseHead): void;
  /** It is over. `outcome` undefined: nothing of the kind is to be tried again. */
  onHedgeFailed(hedge: HedgedTry, outcome: Outcome | undefined, failure: Failure, detail: string): void;
}

/** What a try beside others has in common with them. */
export interface HedgedRequest {
  readonly context: TriesContext;
  readonly record: ExchangeRecord;
  readonly fields: RequestFields;
  /** It has come whole, and is kept. */
  readonly body: RequestBody;
  readonly owner: HedgedTryOwner;
}

/** One try beside others of the same request. Made for hedging only: the first try is its exchange's own object. */
export class HedgedTry implements UpstreamWaiter {
  readonly cluster: ClusterPart;
  readonly endpoint: EndpointPart;
  account: TryAccount;
  stream: UpstreamStream | undefined;
  /** Its answer is the one that counts. */
  adopted = false;
  readonly #request: HedgedRequest;
  readonly #plan: Plan;
  #pool: UpstreamPool | undefined;

  constructor(request: HedgedRequest, plan: Plan, cluster: ClusterPart, endpoint: EndpointPart) {
    const { load, clock, outliers } = request.context;
    this.#request = request;
    this.#plan = plan;
    this.cluster = cluster;
    this.endpoint = endpoint;
    this.account = new TryAccount(load, clock, request.record.tries, outliers);
  }

  start(): void {
    const { context, record } = this.#request;
    this.account.begin(this.cluster, this.endpoint, true);
    const { endpoint } = this;
    this.#pool = context.pools.for((record.grpc ? endpoint.overHttp2 : undefined) ?? endpoint, record.source);
    this.#pool.acquire(this.cluster, this);
  }

  /** Ends it: another one was faster, or its answer is not good. */
  cancel(failed: boolean): void {
    this.#pool?.withdraw(this);
    this.#pool = undefined;
    const { stream } = this;
    this.stream = undefined;
    this.account.end(failed);
    stream?.cancel();
  }

  onUpstreamReady(stream: UpstreamStream): void {
    const { context, record, fields, body } = this.#request;
    this.#pool = undefined;
    this.stream = stream;
    context.upstreamMetrics.of(this.cluster).requests.inc();
    const now = context.clock.monotonic();
    const headers = requestHeadersOf(record, fields, this.#plan, this.endpoint, context.peerMetadata, now);
    const target = requestTargetOf(record, this.#plan);
    stream.writeHead(requestMethodOf(record), target, headers, body.expected, body.contentLength);
    body.replayTo(stream);
    stream.writeEnd(body.trailers);
  }

  onUpstreamUnavailable(failure: AcquireFailure, detail: string): void {
    this.#pool = undefined;
    this.account.note(failure, 0, detail);
    if (failure !== "overflow") this.account.unreached(failure === "connect-timeout");
    this.account.end(failure !== "overflow");
    const outcome: Outcome | undefined = failure === "overflow" ? undefined : { kind: "connect-failure" };
    this.#request.owner.onHedgeFailed(this, outcome, failure, detail);
  }

  onUpstreamInterim(head: ResponseHead): void {
    if (this.adopted) this.#request.owner.onUpstreamInterim(head);
  }

  onUpstreamHead(head: ResponseHead): void {
    this.account.note("answered", head.status, "");
    this.#request.owner.onHedgeHead(this, head);
  }

  /** Never: no upgrade is asked for twice. */
  onUpstreamSwitched(): void {
    this.cancel(true);
  }

  onUpstreamBody(chunk: Buffer, start: number, end: number): void {
    this.#request.owner.onUpstreamBody(chunk, start, end);
  }

  onUpstreamEnd(trailers: HeaderList): void {
    this.#request.owner.onUpstreamEnd(trailers);
  }

  /** The whole request is kept: nobody waits. */
  onUpstreamDrain(): void {}

  onUpstreamReset(reason: ResetReason, detail: string): void {
    const { owner } = this.#request;
    if (this.adopted) {
      owner.onUpstreamReset(reason, detail);
      return;
    }
    const outcome = resetOutcome(reason, this.stream);
    this.stream = undefined;
    this.account.note(reason, 0, detail);
    this.account.unreached(false);
    this.account.end(true);
    owner.onHedgeFailed(this, outcome, RESET_FAILURES[reason], detail);
  }
}
