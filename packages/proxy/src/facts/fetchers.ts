import type { Clock, Logger } from "@tulle/base";

import { JwtVerifier } from "../jwt/jwt-verifier.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import type { FactFetcher } from "./contract.js";
import type { ExtAuthzFetcher } from "./ext-authz-fetcher.js";
import { RateLimitFetcher } from "./rate-limit-fetcher.js";
import type { UpstreamCallContext } from "./upstream-call.js";

/** Everybody who can answer what a step must know. A new kind has a file of its own and a line here. */
export function factFetchers(
  authorizers: ExtAuthzFetcher,
  calls: UpstreamCallContext,
  metrics: MetricsRegistry,
  clock: Clock,
  logger: Logger,
): readonly FactFetcher[] {
  return [authorizers, new RateLimitFetcher(calls, metrics), new JwtVerifier(clock, logger, metrics)];
}
