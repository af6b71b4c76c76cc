/** How sidecars find out which endpoints of a service are well: by asking them, and by what becomes of requests. */
export interface HealthCheckSpec {
  /** Host of the service, as in a DestinationRule; `*.suffix` and `*` for many. */
  readonly host: string;
  /** Of the service; default: every port. */
  readonly port?: number;
  /** Default: every subset. */
  readonly subset?: string;
  /** One of the four asks; none: only `passive` holds. */
  readonly http?: HttpHealthCheck;
  readonly tcp?: TcpHealthCheck;
  readonly grpc?: GrpcHealthCheck;
  readonly redis?: RedisHealthCheck;
  /** Default 5s. */
  readonly interval?: string;
  /** Default 1s. */
  readonly timeout?: string;
  /** Failures one after the other that make unhealthy; default 2. The first check of all decides by itself. */
  readonly unhealthyThreshold?: number;
  /** Passes one after the other that make healthy again; default 1. */
  readonly healthyThreshold?: number;
  /** The first check waits a random part of it; default 0s. */
  readonly initialJitter?: string;
  /** A random part of it is added to every interval; default 0s. */
  readonly intervalJitter?: string;
  /** A random part of so many percent is added to every interval; default 0. */
  readonly intervalJitterPercent?: number;
  /** Interval for services that nobody has called yet; default 60s. */
  readonly noTrafficInterval?: string;
  /** The same while an endpoint is healthy; default: `noTrafficInterval`. */
  readonly noTrafficHealthyInterval?: string;
  /** Interval while an endpoint is unhealthy; default: `interval`. */
  readonly unhealthyInterval?: string;
  /** Interval between failures that are not enough yet; default: `unhealthyInterval`. */
  readonly unhealthyEdgeInterval?: string;
  /** Interval between passes that are not enough yet; default: `interval`. */
  readonly healthyEdgeInterval?: string;
  /** Port of the endpoint that is asked instead of its own. */
  readonly checkPort?: number;
  /** Default true. */
  readonly reuseConnection?: boolean;
  /** Every failed check is logged, not only those that change something; default false. */
  readonly alwaysLogFailures?: boolean;
  readonly alwaysLogSuccesses?: boolean;
  readonly passive?: PassiveHealthCheck;
}

export interface HttpHealthCheck {
  readonly path: string;
  /** Host header; default: the service's host and port. */
  readonly host?: string;
  /** Default GET. */
  readonly method?: string;
  /** `200`, or `"200-299"` with both ends; default 200. */
  readonly expectedStatuses?: readonly (number | string)[];
  /** Statuses that make unhealthy at once, without waiting for the threshold; default: none. */
  readonly failAtOnceStatuses?: readonly (number | string)[];
  readonly headers?: { readonly set?: Readonly<Record<string, string>>; readonly remove?: readonly string[] };
  /** Text that is sent as the body. */
  readonly body?: string;
  /** Texts that the first 1024 bytes of the answer contain, in this order. */
  readonly receive?: readonly string[];
}

export interface TcpHealthCheck {
  /** Text that is sent; default: nothing, a connection is enough. */
  readonly send?: string;
  /** Texts that the answer contains, in this order. */
  readonly receive?: readonly string[];
}

export interface GrpcHealthCheck {
  /** Default: the server as a whole. */
  readonly service?: string;
  /** Default: the service's host and port. */
  readonly authority?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface RedisHealthCheck {
  /** Instances that have this key are not well, for maintenance; default: PING is all that is asked. */
  readonly key?: string;
}

/** What ejects an endpoint by the outcome of requests. A rule that is not named is off. */
export interface PassiveHealthCheck {
  /** The time that rates are counted over, and after which ejected endpoints may return; default 10s. */
  readonly interval?: string;
  /** Of the first ejection; each one more adds as much. Default 30s. */
  readonly baseEjectionTime?: string;
  /** Default 300s. */
  readonly maxEjectionTime?: string;
  /** A random part of it is added to each ejection; default 0s. */
  readonly maxEjectionTimeJitter?: string;
  /** Default 50. */
  readonly maxEjectionPercent?: number;
  /** One endpoint may be ejected whatever `maxEjectionPercent` makes of a few; default false. */
  readonly alwaysEjectOne?: boolean;
  /** A passing check ends an ejection; default true. */
  readonly healthCheckUnejects?: boolean;
  readonly consecutive5xxErrors?: number;
  readonly consecutiveGatewayErrors?: number;
  /** Failures to connect, broken connections and timeouts; counted as 5xx unless this is set. */
  readonly consecutiveLocalOriginFailures?: number;
  /** Endpoints far below the mean of the others. */
  readonly successRate?: {
    /** Default 5. */
    readonly minimumHosts?: number;
    /** Requests in an interval that an endpoint is judged by at least; default 100. */
    readonly requestVolume?: number;
    /** Standard deviations below the mean; default 1.9. */
    readonly stdevFactor?: number;
    /** Percent of cases in which it has consequences; default 100. */
    readonly enforcing?: number;
  };
  /** Endpoints of whose requests in an interval so many percent fail. */
  readonly failurePercentage?: {
    readonly threshold: number;
    /** Default 1. */
    readonly minimumHosts?: number;
    /** Default 20. */
    readonly requestVolume?: number;
    /** Default 100. */
    readonly enforcing?: number;
  };
}
