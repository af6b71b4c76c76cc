export { GatewayPorts } from "./gateway-ports.js";
