export { isMeshName, serviceTopic, type RegistryCatalog } from "./catalog.js";
export type { ProbeResult, Probe } from "./checks/probe.js";
export {
  checkDefinition,
  serviceDefinition,
  type CheckDefinition,
  type CheckStatus,
  type NodeDefinition,
  type ProbeDefinition,
  type ServiceDefinition,
} from "./definition.js";
export { createDnsDirectory } from "./dns-directory.js";
export type { Waiting, WatchedList } from "./facades/consul/blocking.js";
export { checkCommon as checkConsulQuery } from "./facades/consul/query.js";
export { answerWatched, failure as consulFailure, json as consulJson } from "./facades/consul/respond.js";
export { namespaceOf as consulNamespaceOf } from "./facades/consul/rights.js";
export { createConsulApi, type ConsulApiOptions } from "./facades/consul/api.js";
export { instanceId } from "./instance.js";
export { createMemoryPersistence, type RegistryPersistence } from "./persistence.js";
export { createRegistry, type NodeRegistration, type Registry, type RegistryOptions } from "./registry.js";
export { serviceHealth, type CheckState, type NodeState, type ServiceState } from "./state.js";
