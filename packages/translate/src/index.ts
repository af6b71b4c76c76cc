export type * from "./contract.js";
export { VIRTUAL_IPS_DEPENDENCY } from "./contract.js";
export { NAME_TABLE, takesVirtualIp } from "./name-table.js";
export { VIRTUAL_OUTBOUND } from "./virtual-outbound.js";
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
export { expandHost, fullHost } from "./hosts.js";
