import type { RouteSpec } from "../gateway-api/type.js";
import type { L4RouteRule } from "../tcp-route/type.js";

/** Routes of TLS connections by the server name that they ask for, in Gateway API's vocabulary (`TLSRoute`). */
export interface TLSRouteSpec extends RouteSpec {
  /** Server names, exact ones and `*.suffix`. Absent (as v1alpha2 allows): any. */
  readonly hostnames?: readonly string[];
  /** Exactly one. */
  readonly rules: readonly L4RouteRule[];
}
