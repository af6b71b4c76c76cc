export * from "./certificate-authority.js";
export * from "./certificate-service.js";
export * from "./join-tokens.js";
export * from "./mesh-identity.js";
export type { RootRollover } from "./root-rollover.js";
export type { RandomBytes } from "./serial-number.js";
export * from "./server-identity.js";
export * from "./workload-id.js";
