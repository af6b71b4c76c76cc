export { fullGatewayName } from "./bound-services.js";
export { gatewayListener } from "./gateway-listener.js";
export { gatewayRoutes } from "./http-routes.js";
export { passedCluster, passedEndpoints } from "./passed-services.js";
export { commonHost } from "./server.js";
