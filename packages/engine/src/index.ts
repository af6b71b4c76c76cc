export * from "./contract.js";
export type * from "./snapshot/contract.js";
export { pathClass } from "./authorization/path-class.js";
export { affinityOf } from "./affinity/affinity-of.js";
export { bindingField } from "./affinity/session.js";
export type { SessionPolicy } from "./affinity/session.js";
export type { RequestHash } from "./affinity/request-hash.js";
export * from "./decide.js";
export type * from "./trace.js";
export { entropyOf } from "./entropy.js";
export * from "./explain/index.js";
export type * from "./facts/contract.js";
export type * from "./facts/ext-authz.js";
export * from "./facts/jwt.js";
export { factOfCheck, invalidAnswer } from "./facts/check-answer.js";
export type * from "./facts/rate-limit.js";
export { factOfRateLimit } from "./facts/rate-limit-answer.js";
export { factOfHttpAnswer } from "./facts/http-answer.js";
export { createLoadTable, NO_SLOT } from "./load/load-table.js";
export type { LoadTableOptions, SlotTable } from "./load/load-table.js";
export { readLoadReport } from "./load/load-report.js";
export type { LoadReport } from "./load/reported-loads.js";
export { createSharedLoadTable, openSharedLoadTable } from "./load/shared-load-table.js";
export type {
  SharedLoad,
  SharedSlotHolder,
  SharedSlotOwner,
  SlotChanges,
  SlotEntry,
} from "./load/shared-load-table.js";
export type { Controllers } from "./load/controllers.js";
export type { GradientController, GradientSettings } from "./load/gradient-controller.js";
export type { SuccessWindow, SuccessSettings } from "./load/success-window.js";
export * from "./health/index.js";
export * from "./outlier/index.js";
export type { FormatSource, Reader } from "./format/format-source.js";
export { operatorReader } from "./format/operators.js";
export type { Way } from "./route/way.js";
export { currentCluster } from "./route/current-cluster.js";
export { endpointHost } from "./route/endpoint-host.js";
export type { FollowedRedirects, Redirection } from "./route/internal-redirect.js";
export { grpcWebTranslation } from "./admit/grpc-web.js";
export { applyHeaders } from "./route/header-mutations.js";
export { gatewayChain, isGateway } from "./route/gateway-chain.js";
export { chainsFor, INBOUND_LISTENER, selectChain, selectServerChain } from "./route/inbound-chains.js";
export * from "./route/retry-on.js";
export { withoutPort } from "./route/virtual-hosts.js";
export { chainForServerName, serverNameRank } from "./route/server-names.js";
export { MESH_PARAMETERS } from "./snapshot/tls-parameters.js";
export type { ProxyStatusSettings } from "./snapshot/proxy-status-settings.js";
export { createSnapshotSource } from "./snapshot/snapshot-source.js";
export type { SnapshotSourceOptions } from "./snapshot/snapshot-source.js";
