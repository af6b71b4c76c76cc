import { z } from "zod";
import { positiveDuration } from "../schema/durations.js";
import { uint32, wholePercent, integer } from "../schema/numbers.js";
import { struct } from "../schema/struct.js";

/** Istio's OutlierDetection. */
export const outlierDetection = struct({
  consecutive5xxErrors: uint32.exactOptional(),
  consecutiveGatewayErrors: uint32.exactOptional(),
  splitExternalLocalOriginErrors: z.boolean().exactOptional(),
  consecutiveLocalOriginFailures: uint32.exactOptional(),
  interval: positiveDuration.exactOptional(),
  baseEjectionTime: positiveDuration.exactOptional(),
  maxEjectionPercent: wholePercent.exactOptional(),
  minHealthPercent: wholePercent.exactOptional(),
  outlierDetectionHttpErrorCodes: z.array(integer(100, 599, "an HTTP status code")).exactOptional(),
});
