import type { Clock, Logger } from "@tulle/base";

import { JwtVerifier } from "../jwt/jwt-verifier.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import type { FactFetcher } from "./contract.js";
import { ExtAuthzFetcher } from "./ext-authz-fetcher.js";
import { RateLimitFetcher } from "./rate-limit-fetcher.js";
import type { UpstreamCallContext } from "./upstream-call.js";

/** Everybody who can answer what a step must know. A new kind has a file of its own and a line here. */
export function factFetchers(
  calls: UpstreamCallContext,
  metrics: MetricsRegistry,
  clock: Clock,
  logger: Logger,
): readonly FactFetcher[] {
  return [
    new ExtAuthzFetcher(calls, metrics),
    new RateLimitFetcher(calls, metrics),
    new JwtVerifier(clock, logger, metrics),
  ];
}
