export { admitClient, noCertificate, type AdsIdentity } from "./ads-client.js";
export * from "./ads-server.js";
export type { ObjectCondition, ObjectStatus, PushLedger } from "./push-ledger.js";
export type { ExpectedResource } from "./type-channel.js";
export { CONVERGENCE_BUCKETS_S, type PushMetrics } from "./push-metrics.js";
