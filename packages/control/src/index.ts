export type * from "./stores/coordination.js";
export type * from "./stores/resource-store.js";
export * from "./stores/open.js";
export * from "./grpc/index.js";
