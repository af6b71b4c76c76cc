import { adaptiveConcurrencyKind } from "./adaptive-concurrency.js";
import { admissionControlKind } from "./admission-control.js";
import { connectionResetKind } from "./connection-reset.js";
import { jwtKind } from "../jwt/jwt-filter.js";
import { rbacKind } from "../authorization/rbac-filter.js";
import { corsKind } from "./cors.js";
import { extAuthzKind } from "./ext-authz.js";
import { faultKind } from "./fault.js";
import { routeExtAuthzKind } from "./route-ext-authz.js";
import { globalRateLimitKind } from "./global-rate-limit.js";
import { grpcJsonTranscoderKind } from "./grpc-json-transcoder.js";
import { grpcWebKind } from "./grpc-web.js";
import { localRateLimitKind } from "./local-rate-limit.js";
import type { FilterKind } from "./filter-kind.js";

/** Every filter that is carried out, besides the router. A new one has a file of its own and a line here. */
const KINDS: readonly FilterKind[] = [
  grpcWebKind,
  grpcJsonTranscoderKind,
  corsKind,
  jwtKind,
  extAuthzKind,
  routeExtAuthzKind,
  rbacKind,
  faultKind,
  connectionResetKind,
  localRateLimitKind,
  globalRateLimitKind,
  adaptiveConcurrencyKind,
  admissionControlKind,
];

const BY_TYPE: ReadonlyMap<string, FilterKind> = new Map(KINDS.map((kind) => [kind.type, kind]));
const BY_ROUTE_TYPE: ReadonlyMap<string, FilterKind> = new Map(KINDS.map((kind) => [kind.routeType, kind]));

/** The filter that a message in a chain configures. */
export function filterKind(type: string): FilterKind | undefined {
  return BY_TYPE.get(type);
}

/** The filter that a message in a route configures. */
export function routeFilterKind(type: string): FilterKind | undefined {
  return BY_ROUTE_TYPE.get(type);
}
