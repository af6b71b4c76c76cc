import type { HealthStatus } from "@tulle/api";
import type { CheckDefinition, CheckStatus, NodeDefinition, ServiceDefinition } from "./definition.js";

/** A check and its last result. */
export interface CheckState {
  readonly definition: CheckDefinition;
  readonly status: CheckStatus;
  /** What the last run said, cut to the definition's limit. Changes without a change of index. */
  readonly output: string;
  readonly createIndex: number;
  readonly modifyIndex: number;
  /** `Clock.monotonic()` since when it is critical without a break. */
  readonly criticalSinceMs: number | undefined;
  /** Critical because nothing was heard in time, not because somebody said or found so. */
  readonly silent?: boolean;
}

/** A registered service with its checks. Read-only outside of the registry. */
export interface ServiceState {
  readonly node: NodeState;
  readonly definition: ServiceDefinition;
  /** By check id. */
  readonly checks: ReadonlyMap<string, CheckState>;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

/** A node with its own checks and its services. Read-only outside of the registry. */
export interface NodeState {
  readonly definition: NodeDefinition;
  /** Checks that concern every service on the node, by check id. */
  readonly checks: ReadonlyMap<string, CheckState>;
  /** By {@link serviceKey}. */
  readonly services: ReadonlyMap<string, ServiceState>;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

/** The registry's own, writable view of the states. */
export type Writable<T> = { -readonly [K in keyof T]: T[K] };
export type WritableCheck = Writable<CheckState>;
export type WritableService = Omit<Writable<ServiceState>, "node" | "checks"> & {
  node: WritableNode;
  checks: Map<string, WritableCheck>;
};
export type WritableNode = Omit<Writable<NodeState>, "checks" | "services"> & {
  checks: Map<string, WritableCheck>;
  services: Map<string, WritableService>;
};

/** Prefixes of the checks by which maintenance is switched on; Consul's names, which its users look for. */
export const SERVICE_MAINTENANCE_PREFIX = "_service_maintenance:";
export const NODE_MAINTENANCE_ID = "_node_maintenance";

/** Names an instance on its node. Control characters are refused in names, so NUL separates safely. */
export function serviceKey(namespace: string, id: string): string {
  return `${namespace}\0${id}`;
}

/** Worst of a service's own checks and of its node's; maintenance is worse than all. */
export function aggregateHealth(checks: Iterable<CheckState>): HealthStatus {
  let worst: HealthStatus = "passing";
  for (const { definition, status } of checks) {
    if (status === "passing") continue;
    if (definition.id === NODE_MAINTENANCE_ID || definition.id.startsWith(SERVICE_MAINTENANCE_PREFIX)) {
      return "maintenance";
    }
    if (status === "critical" || worst === "passing") worst = status;
  }
  return worst;
}

/** The health of a registered service: its checks and its node's. */
export function serviceHealth(service: ServiceState): HealthStatus {
  return aggregateHealth(checksOf(service));
}

/** Whether a service is critical for silence alone. */
export function isSilent(service: ServiceState): boolean {
  if (serviceHealth(service) !== "critical") return false;
  for (const { status, silent } of checksOf(service)) {
    if (status === "critical" && silent !== true) return false;
  }
  return true;
}

/** All checks that decide about a service: the node's first. */
export function* checksOf(service: ServiceState): Iterable<CheckState> {
  yield* service.node.checks.values();
  yield* service.checks.values();
}
