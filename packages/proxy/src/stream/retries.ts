import {
  countRetry,
  next,
  type LoadTable,
  type Outcome,
  type Plan,
  type SnapshotSource,
} from "@tulle/engine";
import { GrpcStatus, NO_GRPC_STATUS, readGrpcStatus, type ResponseHead } from "@tulle/http";
import type { Clock } from "@tulle/base";

import { toldUpstreamFailure } from "../filters/upstream-failure.js";
import type { RequestFields } from "../filters/request-headers.js";
import type { RequestBody } from "./request-body.js";
import type { OwnView } from "./decision.js";
import type { ExchangeRecord } from "./exchange-record.js";

/** Negative: the request is not tried again. */
const NEVER = -1;

/** What the judgement of tries needs of their proxy. */
export interface RetriesContext {
  readonly clock: Clock;
  readonly configuration: SnapshotSource;
  readonly load: LoadTable;
}

/** Whether a request is tried again, and when: the engine's judgement of what became of the last try. */
export class Retries {
  readonly #context: RetriesContext;
  readonly #record: ExchangeRecord;
  readonly #fields: RequestFields;
  readonly #view: OwnView;
  readonly #body: RequestBody;

  constructor(
    context: RetriesContext,
    record: ExchangeRecord,
    fields: RequestFields,
    view: OwnView,
    body: RequestBody,
  ) {
    this.#context = context;
    this.#record = record;
    this.#fields = fields;
    this.#view = view;
    this.#body = body;
  }

  /** Milliseconds until the next try, or negative. */
  after(plan: Plan | undefined, outcome: Outcome): number {
    if (plan?.retry === undefined) return NEVER;
    const record = this.#record;
    const { request, attempt } = record;
    // A tunnel is asked for once: the application may have begun to keep state for it.
    if (request.upgrade !== "" && mayHaveArrived(outcome)) return NEVER;
    const view = this.refreshView();
    const delayMs = next(view, plan, request, attempt, outcome);
    if (delayMs < 0) return NEVER;
    if (!this.#body.replayable) {
      record.bodyNotKept = true;
      return NEVER;
    }
    countRetry(view, plan, attempt, outcome);
    record.timeoutRetry = outcome.kind === "per-try-timeout" || outcome.kind === "per-try-idle-timeout";
    return delayMs;
  }

  /** As `after`, for an answer, which is thrown away then. */
  afterAnswer(plan: Plan | undefined, head: ResponseHead): number {
    const { status, headers } = head;
    const { grpc, endpoint } = this.#record;
    const grpcStatus = grpc ? readGrpcStatus(headers) : NO_GRPC_STATUS;
    if (status < 400 && grpcStatus <= 0 && plan?.retry?.looksAtEveryAnswer !== true) return NEVER;
    const failed = isFailure(head, grpc);
    const told = failed && endpoint?.tls?.kind === "mesh" ? toldUpstreamFailure(headers) : undefined;
    let delayMs = told === undefined ? NEVER : this.after(plan, told);
    if (delayMs < 0 && told?.kind !== "retried") {
      delayMs = this.after(plan, { kind: "response", status, grpcStatus, headers });
    }
    if (delayMs < 0 && (told?.kind === "retried" || (failed && this.#record.attempt.attempts > 1)))
      this.noteUsedUp();
    return delayMs;
  }

  /**
   * This call has failed after all of its retries. When the application fails the request that it makes it for, the caller's
   * sidecar is told not to begin all over: the request id, which applications pass on, says which one it is.
   */
  noteUsedUp(): void {
    const { source } = this.#record;
    if (source.direction !== "outbound" || this.#fields.requestId === "") return;
    this.#context.load.noteRetried(this.#view.entropy, this.#context.clock.now());
  }

  /** What is decided on from now on is the present. */
  refreshView(): OwnView {
    const view = this.#view;
    const { clock, configuration } = this.#context;
    view.snapshot = configuration.current;
    view.now = clock.monotonic();
    view.wallMs = clock.now();
    return view;
  }
}

/** Whether an answer says that the service failed, and not that the request is wrong. */
export function isFailure({ status, headers }: ResponseHead, grpc: boolean): boolean {
  if (status >= 500) return true;
  if (!grpc) return false;
  switch (readGrpcStatus(headers)) {
    case GrpcStatus.UNAVAILABLE:
    case GrpcStatus.INTERNAL:
    case GrpcStatus.UNKNOWN:
    case GrpcStatus.DEADLINE_EXCEEDED:
    case GrpcStatus.RESOURCE_EXHAUSTED:
    case GrpcStatus.CANCELLED:
      return true;
    default:
      return false;
  }
}

/**
 * Whether the application is likely to have seen the request of a try that ended so. A connection that served others
 * before and breaks without an answer was closed by its server just as the request left.
 */
function mayHaveArrived(outcome: Outcome): boolean {
  if (outcome.kind === "reset") return outcome.requestSent && !outcome.reusedConnection;
  return outcome.kind !== "connect-failure";
}
