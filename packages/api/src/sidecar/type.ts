import type { ConnectionPoolSettings } from "../destination-rule/type.js";

/** What the workloads of a namespace may call, and how their own ports are reached, in Istio's vocabulary. */
export interface SidecarSpec {
  /** Workloads of the object's namespace; none: all of them, or the whole mesh in the root namespace. */
  readonly workloadSelector?: { readonly labels?: Readonly<Record<string, string>> };
  readonly ingress?: readonly SidecarIngress[];
  /** None: everything that is exported to the namespace may be called. */
  readonly egress?: readonly SidecarEgress[];
  /** For all of `ingress` that has no pool of its own. */
  readonly inboundConnectionPool?: ConnectionPoolSettings;
  readonly outboundTrafficPolicy?: {
    /** What becomes of redirected connections to unknown destinations. Default, where the policy is given: REGISTRY_ONLY. */
    readonly mode?: "REGISTRY_ONLY" | "ALLOW_ANY";
    readonly egressProxy?: {
      readonly host: string;
      readonly subset?: string;
      readonly port?: { readonly number: number };
    };
  };
}

export interface SidecarPort {
  readonly number: number;
  /** Upper-case, as a ServiceEntry's. */
  readonly protocol?: string;
  readonly name?: string;
}

/** A port of the workload. */
export interface SidecarIngress {
  /** The port that the workload is registered with. */
  readonly port: SidecarPort;
  readonly bind?: string;
  readonly captureMode?: CaptureMode;
  /** Where the application listens: `127.0.0.1:PORT`, `[::1]:PORT`, `0.0.0.0:PORT` or `unix:///path`. */
  readonly defaultEndpoint?: string;
  readonly connectionPool?: ConnectionPoolSettings;
}

/** Hosts that may be called, on one port or on all. */
export interface SidecarEgress {
  /** None: every port that no other item names. */
  readonly port?: SidecarPort;
  readonly bind?: string;
  readonly captureMode?: CaptureMode;
  /** `namespace/host`: namespace a name, `.`, `*` or `~`; host a full name, `*.suffix` or `*`. */
  readonly hosts: readonly string[];
}

export type CaptureMode = "DEFAULT" | "IPTABLES" | "NONE";
