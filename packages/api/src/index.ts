export * from "./catalog.js";
export * from "./kind.js";
export * from "./status.js";
