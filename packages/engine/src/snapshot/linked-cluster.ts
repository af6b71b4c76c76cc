import type {
  ClusterPart,
  ConnectionSettings,
  EndpointPart,
  EndpointWait,
  HealthCheckSettings,
  OutlierSettings,
  Provenance,
} from "./contract.js";
import { saltOf } from "../entropy.js";
import type { EndpointHealth } from "../pick/health.js";
import type { Grouping } from "../pick/groups.js";
import { Subsets } from "../pick/subsets.js";
import { ClusterBalance } from "../pick/cluster-balance.js";
import type { Assignment } from "./assignment.js";
import type { RetryBudget } from "./circuit-breakers.js";
import type { ClusterSettings } from "./cluster-settings.js";

const NO_MEMBERS: readonly string[] = [];

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
  readonly high: LinkedCluster | undefined;
  readonly connectTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerHost: number;
  readonly pools: ClusterPart["pools"];
  readonly tracksRemaining: boolean;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  readonly retryBudget: RetryBudget;
  readonly maxRequestsPerConnection: number;
  readonly connection: ConnectionSettings;
  readonly outlier: OutlierSettings | undefined;
  readonly healthCheck: HealthCheckSettings | undefined;
  readonly endpointWait: EndpointWait | undefined;
  readonly reportGapMs: number | undefined;
  readonly overrideHeaders: readonly string[] | undefined;
  readonly endpoints: readonly EndpointPart[];
  readonly members: readonly string[];
  readonly warm: boolean;
  readonly originalDestination: boolean;
  readonly provenance: Provenance;
  /** Chance of its own for the balancer. */
  readonly salt: number;
  readonly balance: ClusterBalance;
  /** Undefined: requests do not choose by labels. */
  readonly subsets: Subsets | undefined;
  /** States in which an endpoint still takes the sessions that are bound to it. */
  readonly sessionHealth: ReadonlySet<EndpointHealth>;
  #indexes: ReadonlyMap<string, number> | undefined;

  /**
   * `endpoints` are those of `assignment`, in its order; `newcomers` the slots of those that came to it later; `high` the
   * same cluster for priority HIGH; `pools` where its connection pools are counted.
   */
  constructor(
    settings: ClusterSettings,
    slot: number,
    assignment: Assignment,
    endpoints: readonly EndpointPart[],
    warm: boolean,
    newcomers: ReadonlySet<number>,
    high?: LinkedCluster,
    pools?: ClusterPart["pools"],
  ) {
    this.name = settings.name;
    this.serviceHost = settings.serviceHost;
    this.servicePort = settings.servicePort;
    this.subset = settings.subset;
    this.slot = slot;
    this.high = high;
    this.connectTimeoutMs = settings.connectTimeoutMs;
    this.maxConnections = settings.maxConnections;
    this.maxConnectionsPerHost = settings.maxConnectionsPerHost;
    this.pools = pools;
    this.tracksRemaining = settings.tracksRemaining;
    this.maxPendingRequests = settings.maxPendingRequests;
    this.maxRequests = settings.maxRequests;
    this.maxRetries = settings.maxRetries;
    this.retryBudget = settings.retryBudget;
    this.maxRequestsPerConnection = settings.maxRequestsPerConnection;
    this.connection = settings.connection;
    this.outlier = settings.outlier;
    this.healthCheck = settings.healthCheck;
    this.endpointWait = settings.endpointWait;
    this.reportGapMs = settings.balancing.reported?.expirationMs;
    this.overrideHeaders = settings.balancing.overrideHeaders;
    this.endpoints = endpoints;
    this.members = "members" in settings.endpoints ? settings.endpoints.members : NO_MEMBERS;
    this.warm = warm;
    this.originalDestination = settings.originalDestination;
    this.provenance = settings.provenance;
    this.salt = saltOf(settings.name);
    this.sessionHealth = settings.sessionHealth;
    const { balancing, subsets } = settings;
    const grouping: Grouping = {
      panicPercent: settings.panicPercent,
      failOnPanic: settings.failOnPanic,
      localityWeighted: balancing.localityWeighted,
      flat: balancing.hashed,
    };
    this.balance = new ClusterBalance(assignment, endpoints, grouping, balancing, newcomers);
    const within = {
      ...grouping,
      localityWeighted: balancing.localityWeighted && subsets?.localityWeightAware === true,
    };
    this.subsets =
      subsets &&
      new Subsets(
        subsets,
        endpoints,
        this.balance,
        (indexes) => new ClusterBalance(assignment, endpoints, within, balancing, newcomers, indexes),
      );
  }

  /** Position of the endpoint `host:port`; -1 when it is not one of this cluster. */
  indexOf(key: string): number {
    this.#indexes ??= new Map(this.endpoints.map((endpoint, index) => [endpoint.key, index]));
    return this.#indexes.get(key) ?? -1;
  }
}
