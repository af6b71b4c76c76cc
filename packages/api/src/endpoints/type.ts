import type { HealthStatus } from "../catalog.js";

/** What `GET /tulle/v1/endpoints` answers: instances as they are registered, and what proxies have of them. */
export interface EndpointsReport {
  readonly services: readonly RegisteredService[];
  readonly proxies: readonly ProxyEndpoints[];
}

export interface RegisteredService {
  readonly namespace: string;
  readonly name: string;
  readonly instances: readonly RegisteredInstance[];
}

export interface RegisteredInstance {
  readonly id: string;
  /** `host:port` of the application. */
  readonly address: string;
  /** `host:port` of its sidecar; "" outside the mesh. */
  readonly meshAddress: string;
  readonly health: HealthStatus;
  readonly version: string;
  /** `region/zone`, or "". */
  readonly locality: string;
  readonly weight: number;
  readonly checks: readonly RegisteredCheck[];
}

export interface RegisteredCheck {
  readonly id: string;
  readonly status: string;
  /** What its last run said. */
  readonly output: string;
}

/** What one proxy has that asks for endpoints. */
export interface ProxyEndpoints {
  /** Node id. */
  readonly proxy: string;
  readonly sets: readonly HeldEndpointSet[];
  /** What is otherwise than it should be by the registry; empty when all is well. */
  readonly differences: readonly EndpointDifference[];
  /** Why it does not say what it has; then `sets` are what the control plane knows of it. */
  readonly silent?: string;
}

/** The endpoints of one cluster at one proxy. */
export interface HeldEndpointSet {
  /** Name of the cluster. */
  readonly name: string;
  /** How far the control plane is with sending it. `absent`: there is none of this name. */
  readonly state: "synced" | "stale" | "nack" | "absent";
  /** Version that the registry as it is now comes to; "" = none. */
  readonly expectedVersion: string;
  /** Version that the proxy has; "" = none; undefined = it does not say. */
  readonly version?: string;
  /** When it changed at the proxy, milliseconds since the epoch; 0 = before the proxy started. */
  readonly changedAt?: number;
  /** What requests are sent to; undefined = the proxy does not say. */
  readonly endpoints?: readonly HeldEndpoint[];
}

export interface HeldEndpoint {
  /** `host:port` */
  readonly address: string;
  /** As the control plane has said. */
  readonly healthy: boolean;
  /** What the proxy itself holds against it: `ejected`, `failing checks`, `degraded`. */
  readonly held: readonly string[];
  /** Requests under way. */
  readonly requests: number;
}

/**
 * `missing`: registered, and the proxy does not have it; `stale`: the proxy has it, and it is not registered (any more) or
 * not to be used; `health`: the proxy takes it to be well, or unwell, and the registry does not; `content`: the same
 * endpoints with other weights or labels; `unknown`: the proxy does not say, and what it was sent is not acknowledged.
 */
export type EndpointDifferenceKind = "missing" | "stale" | "health" | "content" | "unknown";

export interface EndpointDifference {
  readonly kind: EndpointDifferenceKind;
  /** Name of the cluster. */
  readonly set: string;
  /** `host:port`; "" = of the set as a whole. */
  readonly address: string;
  /** For people. */
  readonly message: string;
}
