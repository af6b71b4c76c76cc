export type * from "./contract.js";
export * from "./certificate-files.js";
export * from "./control-plane.js";
export * from "./csr.js";
export * from "./grpc-bootstrap.js";
export * from "./identity.js";
export type { WorkloadNode } from "./node-identity.js";
export * from "./svid.js";
export * from "./tls.js";
