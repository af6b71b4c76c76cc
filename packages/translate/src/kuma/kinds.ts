import { KUMA_GROUP } from "@tulle/api";
import type { KindRef } from "../translation.js";

export const MESH_HTTP_ROUTE: KindRef = { group: KUMA_GROUP, kind: "MeshHTTPRoute" };
export const MESH_TCP_ROUTE: KindRef = { group: KUMA_GROUP, kind: "MeshTCPRoute" };
