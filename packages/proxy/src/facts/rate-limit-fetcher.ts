import { create } from "@bufbuild/protobuf";
import { factOfRateLimit, type Fact, type FactFailure, type RateLimitNeed } from "@tulle/engine";
import {
  RateLimitRequestSchema,
  RateLimitService,
} from "@tulle/xds/gen/envoy/service/ratelimit/v3/rls_pb.js";

import type { Counter, Family, MetricsRegistry } from "../telemetry/metrics.js";
import type { FactAsker, FactFetcher, PendingFact } from "./contract.js";
import { grpcAnswer, grpcRequest } from "./grpc-call.js";
import { UpstreamCall, type UpstreamAnswer, type UpstreamCallContext } from "./upstream-call.js";

/** Asks rate limit services. */
export class RateLimitFetcher implements FactFetcher<"rate-limit"> {
  readonly kind = "rate-limit";
  readonly #context: UpstreamCallContext;
  readonly #checks: Family<Counter>;

  constructor(context: UpstreamCallContext, metrics: MetricsRegistry) {
    this.#context = context;
    this.#checks = metrics.counter(
      "tulle_rate_limit_checks_total",
      "Questions to rate limit services, by what came of them: ok, over_limit, or why there was no answer.",
    );
  }

  fetch(need: RateLimitNeed, asker: FactAsker): Fact | PendingFact {
    const { domain, descriptors } = need;
    const message = create(RateLimitRequestSchema, {
      domain,
      descriptors: descriptors.map((entries) => ({
        entries: entries.map(([key, value]) => ({
          key,
          value: Buffer.from(value, "latin1").toString("utf8"),
        })),
      })),
    });
    const { entropy, source } = asker.record;
    const request = grpcRequest(RateLimitService.method.shouldRateLimit, message, { ...need, entropy });
    const call = new UpstreamCall(this.#context, request, source, (end) =>
      asker.onFact(this.#factOf(need, end)),
    );
    const early = call.start();
    return early === undefined ? call : this.#factOf(need, early);
  }

  #factOf({ name }: RateLimitNeed, end: UpstreamAnswer | FactFailure): Fact {
    const fact = end.kind === "failed" ? end : answerOf(end);
    const outcome = fact.kind === "failed" ? fact.reason : fact.over ? "over_limit" : "ok";
    this.#checks.with(["limit", name, "outcome", outcome]).inc();
    return fact;
  }
}

function answerOf(answer: UpstreamAnswer): ReturnType<typeof factOfRateLimit> {
  const response = grpcAnswer(RateLimitService.method.shouldRateLimit, answer);
  return "kind" in response ? response : factOfRateLimit(response);
}
