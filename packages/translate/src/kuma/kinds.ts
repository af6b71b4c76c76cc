import { KUMA_GROUP } from "@tulle/api";
import type { KindRef } from "../translation.js";

export const MESH_HTTP_ROUTE: KindRef = { group: KUMA_GROUP, kind: "MeshHTTPRoute" };
export const MESH_TCP_ROUTE: KindRef = { group: KUMA_GROUP, kind: "MeshTCPRoute" };
export const MESH_LOAD_BALANCING_STRATEGY: KindRef = {
  group: KUMA_GROUP,
  kind: "MeshLoadBalancingStrategy",
};

/** Policies that say how calls are made, once it is known where they go. */
export const KUMA_CALL_KINDS: readonly KindRef[] = [MESH_LOAD_BALANCING_STRATEGY];
