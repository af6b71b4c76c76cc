import { next, type Outcome, type Plan, type SnapshotSource } from "@tulle/engine";
import { NO_GRPC_STATUS, readGrpcStatus, type ResponseHead } from "@tulle/http";

import { toldUpstreamFailure } from "../filters/upstream-failure.js";
import type { RequestBody } from "./request-body.js";
import type { OwnView } from "./decision.js";
import type { ExchangeRecord } from "./exchange-record.js";

/** Negative: the request is not tried again. */
const NEVER = -1;

/** Whether a request is tried again, and when: the engine's judgement of what became of the last try. */
export class Retries {
  readonly #configuration: SnapshotSource;
  readonly #record: ExchangeRecord;
  readonly #view: OwnView;
  readonly #body: RequestBody;

  constructor(configuration: SnapshotSource, record: ExchangeRecord, view: OwnView, body: RequestBody) {
    this.#configuration = configuration;
    this.#record = record;
    this.#view = view;
    this.#body = body;
  }

  /** Milliseconds until the next try, or negative. */
  after(plan: Plan | undefined, outcome: Outcome): number {
    if (plan?.retry === undefined || !this.#body.replayable) return NEVER;
    const { request, attempt } = this.#record;
    // A tunnel is asked for once: the application may have begun to keep state for it.
    if (request.upgrade !== "" && mayHaveArrived(outcome)) return NEVER;
    this.#view.snapshot = this.#configuration.current;
    return next(this.#view, plan, request, attempt, outcome);
  }

  /** As `after`, for an answer, which is thrown away then. */
  afterAnswer(plan: Plan | undefined, { status, headers }: ResponseHead): number {
    if (plan?.retry === undefined) return NEVER;
    const { grpc, endpoint } = this.#record;
    const grpcStatus = grpc ? readGrpcStatus(headers) : NO_GRPC_STATUS;
    if (status < 400 && grpcStatus <= 0) return NEVER;
    const told =
      (status === 503 || grpc) && endpoint?.tls !== undefined ? toldUpstreamFailure(headers) : undefined;
    const delayMs = told === undefined ? NEVER : this.after(plan, told);
    return delayMs < 0 ? this.after(plan, { kind: "response", status, grpcStatus }) : delayMs;
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
