import type { z } from "zod";
import { struct } from "../schema/struct.js";
import { backendRef } from "../gateway-api/backend-refs.js";
import { oneTo } from "../gateway-api/lists.js";
import { sectionName } from "../gateway-api/names.js";
import { distinctParents, parentRefs } from "../gateway-api/parent-refs.js";
import type { TCPRouteSpec } from "./type.js";

/** A rule of a TCPRoute or a TLSRoute. */
export const l4RouteRule = struct({
  name: sectionName.exactOptional(),
  backendRefs: oneTo(16, backendRef),
});

/** Gateway API's TCPRoute. */
export const tcpRouteSpec: z.ZodType<TCPRouteSpec> = struct(
  { parentRefs, rules: oneTo(1, l4RouteRule) },
  distinctParents,
);
