export * from "./eventually.js";
export * from "./fake-clock.js";
export * from "./certificate-chains.js";
export { createTestAuthority } from "./certificates.js";
export type * from "./certificates.js";
export { FaultProxy, type Fault } from "./fault-proxy.js";
