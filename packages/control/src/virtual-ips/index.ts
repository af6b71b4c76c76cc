export { changesHosts, meshHosts, namesHosts, type MeshHostsSources } from "./mesh-hosts.js";
export { createVirtualIps, type VirtualIps, type VirtualIpsOptions } from "./virtual-ips.js";
