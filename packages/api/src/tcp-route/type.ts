import type { BackendReference, RouteSpec } from "../gateway-api/type.js";

/** Routes of connections, in Gateway API's vocabulary (`TCPRoute`). */
export interface TCPRouteSpec extends RouteSpec {
  /** Exactly one: there is nothing that connections could be told apart by. */
  readonly rules: readonly L4RouteRule[];
}

/** Where connections go, of `TCPRoute` and `TLSRoute`. */
export interface L4RouteRule {
  readonly name?: string;
  /** At least one. */
  readonly backendRefs: readonly BackendReference[];
}
