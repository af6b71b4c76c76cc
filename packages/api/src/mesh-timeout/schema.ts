import type { z } from "zod";
import { outboundPolicy } from "../kuma/outbound-policy.js";
import { duration, positiveDuration } from "../schema/durations.js";
import { struct } from "../schema/struct.js";
import type { MeshTimeoutSpec } from "./type.js";

/** Kuma's MeshTimeout. */
export const meshTimeoutSpec: z.ZodType<MeshTimeoutSpec> = outboundPolicy(
  struct({
    connectionTimeout: positiveDuration.exactOptional(),
    idleTimeout: duration.exactOptional(),
    http: struct({
      requestTimeout: duration.exactOptional(),
      streamIdleTimeout: duration.exactOptional(),
      maxStreamDuration: duration.exactOptional(),
      maxConnectionDuration: duration.exactOptional(),
      requestHeadersTimeout: duration.exactOptional(),
    }).exactOptional(),
  }),
);
