import type { z } from "zod";
import { struct } from "../schema/struct.js";
import { oneTo } from "../gateway-api/lists.js";
import { hostname } from "../gateway-api/names.js";
import { distinctParents, parentRefs } from "../gateway-api/parent-refs.js";
import { l4RouteRule } from "../tcp-route/schema.js";
import type { TLSRouteSpec } from "./type.js";

/** Gateway API's TLSRoute. */
export const tlsRouteSpec: z.ZodType<TLSRouteSpec> = struct(
  { parentRefs, hostnames: oneTo(1024, hostname).exactOptional(), rules: oneTo(1, l4RouteRule) },
  distinctParents,
);
