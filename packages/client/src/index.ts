export * from "./client.js";
export { LAST_APPLIED } from "./declaration.js";
export * from "./registration.js";
export * from "./resources.js";
export type { Fetch } from "./transport.js";
export type { WatchEvent } from "./watch.js";
