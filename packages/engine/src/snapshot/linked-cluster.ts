import type {
  ClusterPart,
  EndpointPart,
  HealthCheckSettings,
  OutlierSettings,
  Provenance,
} from "./contract.js";
import { saltOf } from "../entropy.js";
import { ClusterBalance } from "../pick/cluster-balance.js";
import type { Assignment } from "./assignment.js";
import type { ClusterSettings, RetryBudget } from "./cluster-settings.js";

/**
 * A cluster with its endpoints: what requests are balanced over. Made anew when either changes; in between only its
 * balance follows the load table.
 */
export class LinkedCluster implements ClusterPart {
  readonly name: string;
  readonly serviceHost: string;
  readonly servicePort: number;
  readonly subset: string;
  readonly slot: number;
  readonly connectTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  readonly retryBudget: RetryBudget | undefined;
  readonly maxRequestsPerConnection: number;
  readonly outlier: OutlierSettings | undefined;
  readonly healthCheck: HealthCheckSettings | undefined;
  readonly endpoints: readonly EndpointPart[];
  readonly warm: boolean;
  readonly originalDestination: boolean;
  readonly provenance: Provenance;
  /** Chance of its own for the balancer. */
  readonly salt: number;
  readonly balance: ClusterBalance;

  /** `endpoints` are those of `assignment`, in its order. */
  constructor(
    settings: ClusterSettings,
    slot: number,
    assignment: Assignment,
    endpoints: readonly EndpointPart[],
    warm: boolean,
  ) {
    this.name = settings.name;
    this.serviceHost = settings.serviceHost;
    this.servicePort = settings.servicePort;
    this.subset = settings.subset;
    this.slot = slot;
    this.connectTimeoutMs = settings.connectTimeoutMs;
    this.maxConnections = settings.maxConnections;
    this.maxPendingRequests = settings.maxPendingRequests;
    this.maxRequests = settings.maxRequests;
    this.maxRetries = settings.maxRetries;
    this.retryBudget = settings.retryBudget;
    this.maxRequestsPerConnection = settings.maxRequestsPerConnection;
    this.outlier = settings.outlier;
    this.healthCheck = settings.healthCheck;
    this.endpoints = endpoints;
    this.warm = warm;
    this.originalDestination = settings.originalDestination;
    this.provenance = settings.provenance;
    this.salt = saltOf(settings.name);
    this.balance = new ClusterBalance(
      assignment,
      endpoints,
      {
        panicPercent: settings.panicPercent,
        failOnPanic: settings.failOnPanic,
        localityWeighted: settings.balancing.localityWeighted,
        flat: settings.balancing.hashed,
      },
      settings.balancing,
    );
  }
}
