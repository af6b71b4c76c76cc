import type { KindRef } from "./translation.js";

const NETWORKING = "networking.istio.io";
const SECURITY = "security.istio.io";
const GATEWAY_API = "gateway.networking.k8s.io";

export const VIRTUAL_SERVICE: KindRef = { group: NETWORKING, kind: "VirtualService" };
export const DESTINATION_RULE: KindRef = { group: NETWORKING, kind: "DestinationRule" };
export const SERVICE_ENTRY: KindRef = { group: NETWORKING, kind: "ServiceEntry" };
export const WORKLOAD_ENTRY: KindRef = { group: NETWORKING, kind: "WorkloadEntry" };
export const GATEWAY: KindRef = { group: NETWORKING, kind: "Gateway" };
export const SIDECAR: KindRef = { group: NETWORKING, kind: "Sidecar" };
export const HEALTH_CHECK: KindRef = { group: "tulle.dev", kind: "HealthCheck" };
export const REQUEST_AUTHENTICATION: KindRef = { group: SECURITY, kind: "RequestAuthentication" };
export const PEER_AUTHENTICATION: KindRef = { group: SECURITY, kind: "PeerAuthentication" };
export const MESH_CONFIG: KindRef = { group: "tulle.dev", kind: "MeshConfig" };
export const AUTHORIZATION_POLICY: KindRef = { group: SECURITY, kind: "AuthorizationPolicy" };
export const RATE_LIMIT: KindRef = { group: "tulle.dev", kind: "RateLimit" };
export const SERVER: KindRef = { group: "policy.linkerd.io", kind: "Server" };
export const HTTP_LOCAL_RATE_LIMIT_POLICY: KindRef = {
  group: "policy.linkerd.io",
  kind: "HTTPLocalRateLimitPolicy",
};
export const TRAFFIC_POLICY: KindRef = { group: "tulle.dev", kind: "TrafficPolicy" };
export const RUNTIME: KindRef = { group: "tulle.dev", kind: "Runtime" };
export const GRPC_JSON_TRANSCODER: KindRef = { group: "tulle.dev", kind: "GrpcJsonTranscoder" };
export const NAMESPACE: KindRef = { group: "", kind: "Namespace" };
export const GATEWAY_CLASS_KIND: KindRef = { group: GATEWAY_API, kind: "GatewayClass" };
export const K8S_GATEWAY: KindRef = { group: GATEWAY_API, kind: "Gateway" };
export const LISTENER_SET: KindRef = { group: GATEWAY_API, kind: "ListenerSet" };
export const HTTP_ROUTE: KindRef = { group: GATEWAY_API, kind: "HTTPRoute" };
export const GRPC_ROUTE: KindRef = { group: GATEWAY_API, kind: "GRPCRoute" };
export const TCP_ROUTE: KindRef = { group: GATEWAY_API, kind: "TCPRoute" };
export const TLS_ROUTE: KindRef = { group: GATEWAY_API, kind: "TLSRoute" };
export const CONFIG_MAP: KindRef = { group: "", kind: "ConfigMap" };
export const SECRET: KindRef = { group: "", kind: "Secret" };
export const REFERENCE_GRANT: KindRef = { group: GATEWAY_API, kind: "ReferenceGrant" };
