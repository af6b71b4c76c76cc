export * from "./eventually.js";
export * from "./fake-clock.js";
export * from "./certificates.js";
export { FaultProxy, type Fault } from "./fault-proxy.js";
