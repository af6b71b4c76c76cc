export { admitClient, type AdsIdentity } from "./ads-client.js";
export * from "./ads-server.js";
export type { ObjectCondition, ObjectStatus, PushLedger } from "./push-ledger.js";
export { CONVERGENCE_BUCKETS_S, type PushMetrics } from "./push-metrics.js";
