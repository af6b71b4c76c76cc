import type { z } from "zod";
import { atMost } from "../gateway-api/lists.js";
import { backendRef, routedDestination, topTargetRef } from "../kuma/target-ref.js";
import { struct } from "../schema/struct.js";
import type { MeshTCPRouteSpec } from "./type.js";

const rule = struct({ default: struct({ backendRefs: atMost(16, backendRef).exactOptional() }) });

/** Kuma's MeshTCPRoute. */
export const meshTcpRouteSpec: z.ZodType<MeshTCPRouteSpec> = struct({
  targetRef: topTargetRef.exactOptional(),
  to: atMost(64, struct({ targetRef: routedDestination, rules: atMost(1, rule) })).exactOptional(),
});
