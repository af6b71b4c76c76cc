export type * from "./contract.js";
export { INBOUND_LISTENER } from "./inbound.js";
export {
  inboundClusterName,
  outboundClusterName,
  parseClusterName,
  routeConfigurationName,
  serverName,
  spiffeId,
  type ClusterName,
} from "./names.js";
export { CERTIFICATE_PROVIDER } from "./dialects/grpc-tls.js";
export { translate } from "./translate.js";
