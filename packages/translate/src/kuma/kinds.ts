import { KUMA_GROUP } from "@tulle/api";
import type { KindRef } from "../translation.js";

export const MESH_HTTP_ROUTE: KindRef = { group: KUMA_GROUP, kind: "MeshHTTPRoute" };
export const MESH_TCP_ROUTE: KindRef = { group: KUMA_GROUP, kind: "MeshTCPRoute" };
export const MESH_LOAD_BALANCING_STRATEGY: KindRef = {
  group: KUMA_GROUP,
  kind: "MeshLoadBalancingStrategy",
};
export const MESH_TIMEOUT: KindRef = { group: KUMA_GROUP, kind: "MeshTimeout" };
export const MESH_CIRCUIT_BREAKER: KindRef = { group: KUMA_GROUP, kind: "MeshCircuitBreaker" };
export const MESH_RATE_LIMIT: KindRef = { group: KUMA_GROUP, kind: "MeshRateLimit" };

/** Policies that lead no calls. */
export const KUMA_SETTING_KINDS: readonly KindRef[] = [
  MESH_LOAD_BALANCING_STRATEGY,
  MESH_TIMEOUT,
  MESH_CIRCUIT_BREAKER,
  MESH_RATE_LIMIT,
];
