/** xDS resources for the tests of this package, in the shape that the control plane gives them. */
export {
  type ClusterOptions,
  type TlsParams,
  cluster,
  originalDestinationCluster,
  socketCluster,
  staticCluster,
} from "./resources/clusters.js";
export { DEFAULT_RETRIES, type RouteInit, routeTo, routes } from "./resources/routes.js";
export { ms } from "./resources/message.js";
export {
  type DetectedOptions,
  apiListener,
  detectedListener,
  tcpListener,
} from "./resources/outbound-listeners.js";
export { secret } from "./resources/secrets.js";
export { type EndpointInit, endpoints } from "./resources/endpoints.js";
export {
  inboundChains,
  inboundDetectedListener,
  inboundListener,
  inboundTcpListener,
} from "./resources/inbound-listeners.js";
export { serviceAt } from "./resources/service.js";
