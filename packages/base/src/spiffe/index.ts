export * from "./certificate.js";
export * from "./der.js";
export * from "./leaf.js";
export * from "./pem.js";
export * from "./trust-bundles.js";
export * from "./verify-svid.js";
