import { z } from "zod";
import { headerAdditions } from "../gateway-api/header-modifier.js";
import { inboundPolicy } from "../kuma/inbound-policy.js";
import { durationOf } from "../schema/durations.js";
import { integer } from "../schema/numbers.js";
import { struct } from "../schema/struct.js";
import type { MeshRateLimitSpec } from "./type.js";

const rate = struct({
  num: integer(1, 4_294_967_295, "a number"),
  interval: durationOf(50, 'a duration of at least 50ms, such as "1s"'),
});

const http = struct({
  disabled: z.boolean().exactOptional(),
  requestRate: rate.exactOptional(),
  onRateLimit: struct({
    status: integer(400, 599, "an HTTP error status").exactOptional(),
    headers: headerAdditions.exactOptional(),
  }).exactOptional(),
});

const tcp = struct({ disabled: z.boolean().exactOptional(), connectionRate: rate.exactOptional() });

/** Kuma's MeshRateLimit. */
export const meshRateLimitSpec: z.ZodType<MeshRateLimitSpec> = inboundPolicy(
  struct({ local: struct({ http: http.exactOptional(), tcp: tcp.exactOptional() }).exactOptional() }),
);
