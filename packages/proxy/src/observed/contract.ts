/** What was asked of a workload by one caller while traffic was observed. Plain data. */
export interface ObservedEdge {
  /** SPIFFE id of the caller; "" = in plaintext. */
  readonly source: string;
  /** Full host of the service. */
  readonly service: string;
  /** Where the application listens. */
  readonly port: number;
  /** Kinds of requests, and how many there were of each. */
  readonly requests: readonly ObservedRequest[];
  /** Connections that carried bytes. */
  readonly connections: number;
}

export interface ObservedRequest {
  readonly method: string;
  /** A path, or a template of paths with `{*}` for what looks like an identifier; "" = any path. */
  readonly path: string;
  readonly count: number;
}

/** All that one proxy observed. */
export interface TrafficReport {
  /** Milliseconds since the epoch; 0 = nothing is observed. */
  readonly since: number;
  /** False: there was more than could be kept, so that something is missing. */
  readonly complete: boolean;
  /** What came in and was not refused by a policy. */
  readonly inbound: readonly ObservedEdge[];
  /** Hosts that the workload called. */
  readonly calls: readonly string[];
}

/** `start`: observe from now on; `stop`: no more, and forget; `read`: only tell. */
export type ObservationAction = "read" | "start" | "stop";
