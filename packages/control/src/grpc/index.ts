export * from "./audited-method.js";
export * from "./peer-identity.js";
export * from "./server-credentials.js";
export * from "./server.js";
export * from "./status.js";
