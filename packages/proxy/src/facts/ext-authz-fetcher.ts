import {
  factOfCheck,
  factOfHttpAnswer,
  type ExtAuthzNeed,
  type Fact,
  type FactFailure,
  type GrpcAuthorizer,
  type HttpAuthorizer,
} from "@tulle/engine";
import type { HeaderList } from "@tulle/http";
import { Authorization, type CheckRequest } from "@tulle/xds/gen/envoy/service/auth/v3/external_auth_pb.js";

import { applyHeaderMutations } from "../filters/header-mutations.js";
import type { Counter, Family, MetricsRegistry } from "../telemetry/metrics.js";
import {
  checkRequest,
  connectionCheckRequest,
  PARTIAL_BODY_HEADER,
  shownBody,
  shownHeaders,
} from "./check-request.js";
import type { ConnectionEnds } from "../proxy-protocol/preamble.js";
import type { ConnectionAsker, FactAsker, FactFetcher, PendingFact } from "./contract.js";
import { grpcAnswer, grpcRequest } from "./grpc-call.js";
import {
  UpstreamCall,
  type UpstreamAnswer,
  type UpstreamCallContext,
  type UpstreamRequest,
} from "./upstream-call.js";

/** Asks authorization services, over gRPC or HTTP. */
export class ExtAuthzFetcher implements FactFetcher<"ext-authz"> {
  readonly kind = "ext-authz";
  readonly #context: UpstreamCallContext;
  readonly #checks: Family<Counter>;
  readonly #refused: Family<Counter>;

  constructor(context: UpstreamCallContext, metrics: MetricsRegistry) {
    this.#context = context;
    this.#checks = metrics.counter(
      "tulle_ext_authz_checks_total",
      "Questions to authorization services, by what came of them: ok, denied, invalid, or why there was no answer.",
    );
    this.#refused = metrics.counter(
      "tulle_ext_authz_mutations_refused_total",
      "Fields that an authorization service wanted to alter and may not.",
    );
  }

  fetch(need: ExtAuthzNeed, asker: FactAsker): Fact | PendingFact {
    const { service } = need;
    const request =
      service.protocol === "grpc"
        ? grpcCheck(need, service, checkRequest(need, asker), asker.record.entropy)
        : httpCheck(need, service, asker);
    return this.#call(need, request, asker.record.source, (fact) => asker.onFact(fact));
  }

  /** Asks about a connection that carries bytes. */
  fetchForConnection(
    need: ExtAuthzNeed,
    { source, startTimeMs, entropy }: ConnectionAsker,
    onFact: (fact: Fact) => void,
  ): Fact | PendingFact {
    const { service } = need;
    if (service.protocol !== "grpc")
      return { kind: "failed", reason: "unsupported", detail: "HTTP services are asked about requests only" };
    const check = connectionCheckRequest(need, source, startTimeMs);
    return this.#call(need, grpcCheck(need, service, check, entropy), source, onFact);
  }

  #call(
    need: ExtAuthzNeed,
    request: UpstreamRequest,
    client: ConnectionEnds,
    onFact: (fact: Fact) => void,
  ): Fact | PendingFact {
    const call = new UpstreamCall(this.#context, request, client, (end) => onFact(this.#factOf(need, end)));
    const early = call.start();
    return early === undefined ? call : this.#factOf(need, early);
  }

  #factOf(need: ExtAuthzNeed, end: UpstreamAnswer | FactFailure): Fact {
    const fact = end.kind === "failed" ? end : answerOf(need, end);
    this.#checks.with(["service", need.name, "outcome", outcomeOf(fact)]).inc();
    if (fact.kind === "ext-authz" && fact.allowed && fact.refusedMutations > 0)
      this.#refused.with(["service", need.name]).inc(fact.refusedMutations);
    return fact;
  }
}

function outcomeOf(fact: Fact): string {
  if (fact.kind === "failed") return fact.reason;
  if (fact.kind !== "ext-authz" || (!fact.allowed && fact.invalid !== undefined)) return "invalid";
  return fact.allowed ? "ok" : "denied";
}

function answerOf({ service, rules }: ExtAuthzNeed, answer: UpstreamAnswer): Fact {
  if (service.protocol === "http") {
    const { status, headers, body } = answer;
    return factOfHttpAnswer(status, headers, body.toString("utf8"), service.answer, rules);
  }
  const response = grpcAnswer(Authorization.method.check, answer);
  return "kind" in response ? response : factOfCheck(response, rules);
}

function grpcCheck(
  { timeoutMs }: ExtAuthzNeed,
  service: GrpcAuthorizer,
  check: CheckRequest,
  entropy: number,
): UpstreamRequest {
  return grpcRequest(Authorization.method.check, check, { ...service, timeoutMs, entropy });
}

/** A request like the client's, but for what goes on with it. */
function httpCheck(
  need: ExtAuthzNeed,
  { way, authority, pathPrefix, adds }: HttpAuthorizer,
  asker: FactAsker,
): UpstreamRequest {
  const { record, request } = asker;
  const body = shownBody(need, asker.body);
  const bytes = body?.bytes ?? Buffer.alloc(0);
  const headers: HeaderList = ["host", record.request.host === "" ? authority : record.request.host];
  const shown = shownHeaders(asker, need.tells);
  for (let index = 0; index < shown.length; index += 2)
    if (shown[index] !== "content-length") headers.push(shown[index]!, shown[index + 1]!);
  headers.push("content-length", String(bytes.length));
  if (body !== undefined) headers.push(PARTIAL_BODY_HEADER, String(body.partial));
  applyHeaderMutations(headers, adds, record);
  return {
    way,
    method: request.method,
    target: `${pathPrefix}${request.path}`,
    headers,
    body: bytes,
    grpc: false,
    timeoutMs: need.timeoutMs,
    entropy: record.entropy,
  };
}
