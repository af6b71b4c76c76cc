import { z } from "zod";
import { outboundPolicy } from "../kuma/outbound-policy.js";
import { percentage } from "../kuma/percentage.js";
import { positiveDuration } from "../schema/durations.js";
import { integer, uint32, wholePercent } from "../schema/numbers.js";
import { struct } from "../schema/struct.js";
import type { MeshCircuitBreakerSpec } from "./type.js";

const consecutive = struct({
  consecutive: integer(1, 4_294_967_295, "a count").exactOptional(),
}).exactOptional();
const limit = integer(1, 4_294_967_295, "a limit").exactOptional();
const judged = { minimumHosts: uint32.exactOptional(), requestVolume: uint32.exactOptional() };

const detectors = struct({
  totalFailures: consecutive,
  gatewayFailures: consecutive,
  localOriginFailures: consecutive,
  successRate: struct({ ...judged, standardDeviationFactor: percentage.exactOptional() }).exactOptional(),
  failurePercentage: struct({ ...judged, threshold: wholePercent.exactOptional() }).exactOptional(),
});

/** Kuma's MeshCircuitBreaker. */
export const meshCircuitBreakerSpec: z.ZodType<MeshCircuitBreakerSpec> = outboundPolicy(
  struct({
    connectionLimits: struct({
      maxConnections: limit,
      maxConnectionPools: limit,
      maxPendingRequests: limit,
      maxRetries: limit,
      maxRequests: limit,
    }).exactOptional(),
    outlierDetection: struct({
      disabled: z.boolean().exactOptional(),
      interval: positiveDuration.exactOptional(),
      baseEjectionTime: positiveDuration.exactOptional(),
      maxEjectionPercent: wholePercent.exactOptional(),
      splitExternalAndLocalErrors: z.boolean().exactOptional(),
      healthyPanicThreshold: percentage.exactOptional(),
      detectors: detectors.exactOptional(),
    }).exactOptional(),
  }),
);
