/** What a check can say; `maintenance` is not one of them: it is a check of its own that is critical. */
export type CheckStatus = "passing" | "warning" | "critical";

/** How a check finds its status. `none`: somebody outside says it, and it is never found out here. */
export type ProbeDefinition =
  | {
      readonly kind: "http";
      readonly url: string;
      readonly method: string;
      readonly headers: Readonly<Record<string, readonly string[]>>;
      readonly body: string;
      readonly tlsSkipVerify: boolean;
      /** SNI and name to verify; empty = the URL's host. */
      readonly tlsServerName: string;
    }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly tls?: ProbeTls }
  | {
      readonly kind: "grpc";
      readonly host: string;
      readonly port: number;
      /** Empty = the server as a whole. */
      readonly service: string;
      readonly tls?: ProbeTls;
    }
  | { readonly kind: "h2ping"; readonly host: string; readonly port: number; readonly tls?: ProbeTls }
  | { readonly kind: "udp"; readonly host: string; readonly port: number }
  | { readonly kind: "ttl"; readonly ttlMs: number }
  | {
      /** As healthy as a node, or as one of its services, is by its own checks and its node's. */
      readonly kind: "alias";
      /** Empty = the one that the check is on. */
      readonly node: string;
      /** Id of a service in the check's namespace; empty = the node alone. */
      readonly service: string;
    }
  | { readonly kind: "none" };

/** TLS of a probe. */
export interface ProbeTls {
  readonly skipVerify: boolean;
  /** SNI and name to verify; empty = the host. */
  readonly serverName: string;
}

/** Probes that ask somebody, every interval. */
export type AskingProbe = Exclude<ProbeDefinition, { kind: "ttl" | "alias" | "none" }>;

export function isAsking(probe: ProbeDefinition): probe is AskingProbe {
  return probe.kind !== "ttl" && probe.kind !== "alias" && probe.kind !== "none";
}

/** A health check as registered. Durations in milliseconds. */
export interface CheckDefinition {
  /** Unique in its namespace. */
  readonly id: string;
  readonly name: string;
  readonly notes: string;
  readonly namespace: string;
  /** Empty for a check of the whole node. */
  readonly serviceId: string;
  readonly probe: ProbeDefinition;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly outputMaxBytes: number;
  /** Before the first result. */
  readonly initialStatus: CheckStatus;
  /** Successes in a row before it passes; 0 and 1 mean the first. */
  readonly successBeforePassing: number;
  readonly failuresBeforeWarning: number;
  readonly failuresBeforeCritical: number;
  /** The service goes when the check was critical for so long; undefined = never. */
  readonly deregisterAfterMs: number | undefined;
}

export interface TaggedAddress {
  readonly address: string;
  readonly port: number;
}

/** A service as registered: one running copy, in Consul's terms. */
export interface ServiceDefinition {
  /** Unique in its namespace on its node; usually `<name>-<something>`. */
  readonly id: string;
  /** As given; compared without regard to case. */
  readonly name: string;
  readonly namespace: string;
  readonly tags: readonly string[];
  /** Empty = the node's address. */
  readonly address: string;
  /** 0 = it has none. */
  readonly port: number;
  readonly meta: Readonly<Record<string, string>>;
  readonly taggedAddresses: Readonly<Record<string, TaggedAddress>>;
  readonly weights: { readonly passing: number; readonly warning: number };
  readonly enableTagOverride: boolean;
  readonly locality: { readonly region: string; readonly zone: string } | undefined;
}

export interface NodeDefinition {
  readonly name: string;
  readonly address: string;
  readonly id: string;
  readonly meta: Readonly<Record<string, string>>;
  readonly taggedAddresses: Readonly<Record<string, string>>;
}

export const DEFAULT_NAMESPACE = "default";

export const CHECK_DEFAULTS = {
  timeoutMs: 10_000,
  /** Consul's and ours: more is cut. */
  outputMaxBytes: 4096,
  /** DeregisterCriticalServiceAfter is raised to this. */
  minDeregisterAfterMs: 60_000,
  /** Interval is raised to this. */
  minIntervalMs: 1000,
} as const;

/** A check with every field that `given` leaves out at its default. */
export function checkDefinition(
  given: Partial<CheckDefinition> & Pick<CheckDefinition, "id" | "probe">,
): CheckDefinition {
  return {
    name: given.id,
    notes: "",
    namespace: DEFAULT_NAMESPACE,
    serviceId: "",
    intervalMs: 0,
    timeoutMs: CHECK_DEFAULTS.timeoutMs,
    outputMaxBytes: CHECK_DEFAULTS.outputMaxBytes,
    initialStatus: "critical",
    successBeforePassing: 0,
    failuresBeforeWarning: 0,
    failuresBeforeCritical: 0,
    deregisterAfterMs: undefined,
    ...given,
  };
}

/** A service with every field that `given` leaves out at its default; the id defaults to the name. */
export function serviceDefinition(
  given: Partial<ServiceDefinition> & Pick<ServiceDefinition, "name">,
): ServiceDefinition {
  return {
    id: given.name,
    namespace: DEFAULT_NAMESPACE,
    tags: [],
    address: "",
    port: 0,
    meta: {},
    taggedAddresses: {},
    weights: { passing: 1, warning: 1 },
    enableTagOverride: false,
    locality: undefined,
    ...given,
  };
}
