export * from "./types.js";
export * from "./grpc.js";
export * from "./any.js";
export * from "./json-registry.js";
export * from "./node.js";
export * from "./subscription.js";
export * from "./subscription-delta.js";
export * from "./subscription-sotw.js";
