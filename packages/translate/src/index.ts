export type * from "./contract.js";
export { VIRTUAL_IPS_DEPENDENCY } from "./contract.js";
export { takesVirtualIp } from "./name-table.js";
export { spiffeId } from "./names.js";
export { translate } from "./translate.js";
export { expandHost, fullHost } from "./hosts.js";
export * from "./analysis/index.js";
export { routeParents, type RouteCondition, type RouteParent } from "./gateway-api/route-status.js";
export * from "./effective/index.js";
