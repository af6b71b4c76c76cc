export * from "./backoff.js";
export * from "./clock.js";
export * from "./disposable.js";
export * from "./duration.js";
export * from "./emitter.js";
export * from "./errors.js";
export * from "./logger.js";
export * from "./spiffe-id.js";
