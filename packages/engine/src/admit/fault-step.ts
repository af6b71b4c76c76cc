import { GrpcStatus } from "@tulle/http";
import type {
  AdmissionStep,
  DecisionView,
  EngineRequest,
  Facts,
  Plan,
  ReplyPlan,
  StepAdmission,
} from "../contract.js";
import { isIn, percentOf, shareNow, type Share } from "../route/fraction.js";
import type { HeaderTest } from "../route/header-test.js";
import { headerValue } from "../route/header-value.js";
import { textReply } from "./text-reply.js";

/** A fault and the share of requests that it is injected into. */
export interface Injected<Value> {
  readonly share: Share;
  /** Undefined: the request's own header says it. */
  readonly value: Value | undefined;
}

/** What an aborted request is answered with: one of the two. */
interface AbortStatus {
  readonly status: number | undefined;
  readonly grpcStatus: number | undefined;
}

export interface FaultSettings {
  /** Milliseconds. */
  readonly delay: Injected<number> | undefined;
  readonly abort: Injected<AbortStatus> | undefined;
  /** Bytes per second of the response's body. */
  readonly rate: Injected<number> | undefined;
  /** Requests to this cluster only; "" = to any. */
  readonly cluster: string;
  readonly headers: readonly HeaderTest[];
  /** Requests from these nodes only; empty = from any. */
  readonly nodes: readonly string[];
  readonly maxActive: number;
}

const NAME = "fault injection";
const BYTES_PER_KIBIBYTE = 1024;
/** A header may ask for any delay; this one outlasts every client. */
const MAX_HEADER_DELAY_MS = 3_600_000;

/**
 * Injects faults into a share of the requests: each kind has a draw of its own, by the request's entropy, so that a
 * recorded request meets the same fault when it is replayed.
 */
export class FaultStep implements AdmissionStep {
  readonly #settings: FaultSettings;

  constructor(settings: FaultSettings) {
    this.#settings = settings;
  }

  admit(view: DecisionView, plan: Plan | ReplyPlan, { request }: Facts): StepAdmission | undefined {
    const { maxActive } = this.#settings;
    if (!this.#concerns(plan, request)) return undefined;
    if (maxActive !== Number.POSITIVE_INFINITY && view.load.activeFaults() >= maxActive) {
      tell(view, plan, "passed-over", `max_active_faults ${maxActive} are active`);
      return undefined;
    }
    const after = join(this.#rate(view, plan, request), this.#abort(view, plan, request));
    const ms = this.#delay(view, plan, request);
    return ms === undefined ? after : { kind: "delay", ms, flag: "DI", after };
  }

  #concerns(plan: Plan | ReplyPlan, request: EngineRequest): boolean {
    const { cluster, headers, nodes } = this.#settings;
    if (cluster !== "" && (plan.kind !== "forward" || plan.cluster.name !== cluster)) return false;
    for (const test of headers) if (!test(request)) return false;
    if (nodes.length === 0) return true;
    const node = headerValue(request.headers, "x-envoy-downstream-service-node");
    return node !== undefined && nodes.includes(node);
  }

  #delay(view: DecisionView, plan: Plan | ReplyPlan, request: EngineRequest): number | undefined {
    const { delay } = this.#settings;
    if (delay === undefined) return undefined;
    const asked = delay.value ?? count(request, "x-envoy-fault-delay-request");
    if (asked === undefined || asked === 0) return undefined;
    const ms = delay.value ?? Math.min(asked, MAX_HEADER_DELAY_MS);
    const header = "x-envoy-fault-delay-request-percentage";
    const facts = view.trace && { fault: "delay", delayMs: ms };
    if (!this.#drawn(view, plan, request, delay.share, "delay", header, facts)) return undefined;
    tell(
      view,
      plan,
      "chosen",
      `delayed by ${ms} ms`,
      facts && { ...facts, ...chance(view, request, delay.share, header) },
    );
    return ms;
  }

  #abort(view: DecisionView, plan: Plan | ReplyPlan, request: EngineRequest): StepAdmission | undefined {
    const { abort } = this.#settings;
    const status = abort === undefined ? undefined : (abort.value ?? abortOf(request));
    if (abort === undefined || status === undefined) return undefined;
    const { grpcStatus } = status;
    const httpStatus = status.status ?? httpStatusOf(grpcStatus ?? GrpcStatus.UNKNOWN);
    const header = "x-envoy-fault-abort-request-percentage";
    const facts = view.trace && { fault: "abort", status: httpStatus };
    if (!this.#drawn(view, plan, request, abort.share, "abort", header, facts)) return undefined;
    tell(
      view,
      plan,
      "chosen",
      grpcStatus === undefined ? `aborted with ${httpStatus}` : `aborted with gRPC status ${grpcStatus}`,
      facts && { ...facts, ...chance(view, request, abort.share, header) },
    );
    return textReply({
      status: httpStatus,
      body: "fault filter abort",
      flag: "FI",
      details: "fault_filter_abort",
      grpcStatus,
    });
  }

  #rate(view: DecisionView, plan: Plan | ReplyPlan, request: EngineRequest): StepAdmission | undefined {
    const { rate } = this.#settings;
    if (rate === undefined) return undefined;
    const kibibytes =
      rate.value === undefined ? count(request, "x-envoy-fault-throughput-response") : undefined;
    const bytesPerSecond = rate.value ?? (kibibytes ?? 0) * BYTES_PER_KIBIBYTE;
    if (bytesPerSecond === 0) return undefined;
    const header = "x-envoy-fault-throughput-response-percentage";
    const facts = view.trace && { fault: "slow response", bytesPerSecond };
    if (!this.#drawn(view, plan, request, rate.share, "slow response", header, facts)) return undefined;
    tell(view, plan, "chosen", `response limited to ${bytesPerSecond} bytes per second`);
    return { kind: "mutate", responseBytesPerSecond: bytesPerSecond };
  }

  /** A header may lower the share, never raise it. */
  #drawn(
    view: DecisionView,
    plan: Plan | ReplyPlan,
    request: EngineRequest,
    share: Share,
    what: string,
    header: string,
    facts: Figures | undefined,
  ): boolean {
    const asked = count(request, header);
    const drawn = isIn(share, view.entropy, view.snapshot.runtime, asked);
    if (!drawn && view.trace !== undefined) {
      tell(
        view,
        plan,
        "passed-over",
        `no ${what}: the request is not among the ${percentOf(share, view.snapshot.runtime)} that meet it`,
        facts && { ...facts, ...chance(view, request, share, header) },
      );
    }
    return drawn;
  }
}

/** An abort makes a slow response pointless. */
function join(rate: StepAdmission | undefined, abort: StepAdmission | undefined): StepAdmission | undefined {
  return abort ?? rate;
}

function tell(
  { trace }: DecisionView,
  { provenance }: Plan | ReplyPlan,
  verdict: "chosen" | "passed-over",
  reason: string,
  facts?: Figures,
): void {
  trace?.add({ step: "filter", subject: NAME, verdict, reason, owner: provenance, facts });
}

/** Figures of a fault, for explanations and tests of configuration: made only where somebody asks. */
type Figures = Readonly<Record<string, string | number>>;

/** The share of such requests that meet a fault, 0 to 1. */
function chance(at: DecisionView, request: EngineRequest, share: Share, header: string): Figures {
  const now = shareNow(share, at.snapshot.runtime);
  const numerator = Math.min(count(request, header) ?? now.numerator, now.numerator);
  return { probability: Math.min(1, numerator / now.denominator) };
}

/** The whole number in a header; undefined when there is none. */
function count({ headers }: EngineRequest, name: string): number | undefined {
  const value = headerValue(headers, name);
  return value !== undefined && /^\d{1,9}$/.test(value) ? Number(value) : undefined;
}

function abortOf(request: EngineRequest): AbortStatus | undefined {
  const status = count(request, "x-envoy-fault-abort-request");
  if (status !== undefined && status >= 200 && status <= 599) return { status, grpcStatus: undefined };
  const grpcStatus = count(request, "x-envoy-fault-abort-grpc-request");
  return grpcStatus === undefined || grpcStatus > 16 ? undefined : { status: undefined, grpcStatus };
}

/** For callers that do not speak gRPC (https://github.com/googleapis/googleapis, google/rpc/code.proto). */
function httpStatusOf(grpcStatus: number): number {
  return HTTP_STATUS[grpcStatus] ?? 500;
}

const HTTP_STATUS: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];
