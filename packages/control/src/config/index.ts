export * from "./config-index.js";
export * from "./mesh-reader.js";
