import type { KindRef } from "./translation.js";

const NETWORKING = "networking.istio.io";
const SECURITY = "security.istio.io";

export const VIRTUAL_SERVICE: KindRef = { group: NETWORKING, kind: "VirtualService" };
export const DESTINATION_RULE: KindRef = { group: NETWORKING, kind: "DestinationRule" };
export const SERVICE_ENTRY: KindRef = { group: NETWORKING, kind: "ServiceEntry" };
export const WORKLOAD_ENTRY: KindRef = { group: NETWORKING, kind: "WorkloadEntry" };
export const SIDECAR: KindRef = { group: NETWORKING, kind: "Sidecar" };
export const PEER_AUTHENTICATION: KindRef = { group: SECURITY, kind: "PeerAuthentication" };
