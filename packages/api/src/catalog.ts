import type { AppProtocol } from "./app-protocol.js";

/**
 * The model of what is registered: services and their instances, whatever registry dialect they came through. The
 * registry produces it, translation reads it; neither knows the other.
 */

/** Worst first wins: `maintenance` and `critical` instances get no traffic, `warning` ones do (Consul's meaning). */
export type HealthStatus = "passing" | "warning" | "critical" | "maintenance";

export interface Address {
  /** IPv4 or IPv6 literal, or a DNS name for external instances. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

/** One running copy of a service. Immutable: a change makes a new object. */
export interface Instance {
  /** Unique in the mesh: `<node>/<service id>`. */
  readonly id: string;
  readonly service: string;
  readonly namespace: string;
  /** Where the application itself listens: what Consul's API and DNS answer. */
  readonly address: Address;
  /** Where its sidecar takes mutual TLS; absent for instances outside the mesh. */
  readonly meshAddress?: Address;
  /** Service port that this instance serves, when it was declared apart from the application's own port. */
  readonly servicePort?: number;
  readonly protocol: AppProtocol;
  /** Consul's Meta, or a pod's labels. Subsets select on these; `version` is derived from tags when not given. */
  readonly labels: Readonly<Record<string, string>>;
  /** Consul's Tags; absent = none. */
  readonly tags?: readonly string[];
  readonly serviceAccount: string;
  /** Relative share of traffic, 0 to 65535; default 1. */
  readonly weight: number;
  readonly health: HealthStatus;
  /** Critical only because nothing was heard of it in time: nobody found it dead, and it said nothing itself. */
  readonly silent?: boolean;
  readonly locality?: Locality;
}

/** Whether traffic may be sent to an instance in this state. */
export function isServing(health: HealthStatus): boolean {
  return health === "passing" || health === "warning";
}

export interface ServicePort {
  readonly number: number;
  readonly name: string;
  readonly protocol: AppProtocol;
}

/** Instances that must have fallen silent before a service is protected: fewer may well have died. */
const MIN_SILENT = 3;

/** Default of the share of a service's instances that must be heard of; with fewer, the silent ones are kept. */
export const DEFAULT_PROTECT_THRESHOLD = 0.2;

/**
 * Whether so many instances of a service fell silent together that it is likelier that they cannot be heard than that
 * they are gone. `threshold`: share that must be serving; 0 = never protected.
 */
export function isProtected(
  instances: readonly Pick<Instance, "health" | "silent">[],
  threshold = DEFAULT_PROTECT_THRESHOLD,
): boolean {
  const silent = instances.filter((instance) => instance.silent === true).length;
  if (silent < MIN_SILENT || threshold <= 0) return false;
  const serving = instances.filter(({ health }) => isServing(health)).length;
  // What says that it is down, or was found so, is no part of the question.
  return serving < threshold * (serving + silent);
}

/** The instances that traffic may be sent to: those that serve and, of a protected service, those last known to. */
export function servingInstances(
  instances: readonly Instance[],
  threshold = DEFAULT_PROTECT_THRESHOLD,
): readonly Instance[] {
  const protect = isProtected(instances, threshold);
  return instances.filter(({ health, silent }) => isServing(health) || (protect && silent === true));
}

/** A service as registered: its instances and the ports that callers may name. */
export interface CatalogService {
  readonly name: string;
  readonly namespace: string;
  /**
   * Ports that callers may name. A service none of whose instances declared a service port is *portless* (Consul's
   * model): it has one port here, and any port that a caller names means it.
   */
  readonly ports: readonly ServicePort[];
  readonly portless: boolean;
  /** Ordered by id. Includes unhealthy ones. */
  readonly instances: readonly Instance[];
}

/** Read side of the registry, as translation and DNS need it. */
export interface Catalog {
  /** The service, or undefined when nothing is registered under that name. */
  service(namespace: string, name: string): CatalogService | undefined;
  services(): Iterable<CatalogService>;
}

/** What changed: the services whose instances, health or ports differ now. Sent after the catalog shows the change. */
export interface CatalogChange {
  readonly services: readonly { readonly namespace: string; readonly name: string }[];
}
