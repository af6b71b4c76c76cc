export * from "./bundle-endpoint.js";
export * from "./federation.js";
