import type { Socket } from "node:net";

import type { Clock, Event, TimerWheel } from "@tulle/base";
import type {
  ClusterPart,
  ConnectionFacts,
  EndpointPart,
  LoadTable,
  SnapshotSource,
  TcpChain,
  WorkloadLabels,
  ProxyTlv,
} from "@tulle/engine";

import type { DetectionContext } from "../detection/detection.js";
import type { OutlierRecorder } from "../health/outlier-recorder.js";
import type { ListenAddress } from "../options.js";
import type { ParkingLot } from "../stream/parking.js";
import type { AuthorizationMetrics } from "../telemetry/authorization-metrics.js";
import type { UpstreamMetrics } from "../telemetry/upstream-metrics.js";
import type { Connector } from "../upstream/connector.js";
import type { ConnectionAuthorizer } from "./connection-admission.js";
import type { KeepAlive } from "../upstream/keep-alive.js";

/** One side of a session. */
export interface TcpEnd {
  /** Plain, or TLS over `transport`. */
  readonly socket: Socket;
  /** What the network sees: the one that can be reset. */
  readonly transport: Socket;
}

/** What a listener tells about a connection that it took. */
export interface TcpSource {
  readonly direction: "inbound" | "outbound";
  /** `host:port` of the listener and of the client. */
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** What the PROXY header of the connection says besides; undefined = nothing that may be passed on. */
  readonly proxyTlvs?: readonly ProxyTlv[] | undefined;
  /** The client's SPIFFE id, verified by mutual TLS; "" without. */
  readonly peerSpiffeId: string;
  /** SNI of the connection, "" without. */
  readonly serverName: string;
  /** What policies may ask of the connection; undefined on the outbound side. */
  readonly connection?: ConnectionFacts | undefined;
  /** Where a redirected connection was made to; a cluster of the original destination leads there. */
  readonly originalDestination: ListenAddress | undefined;
  /** The client's workload as far as its certificate tells; undefined on the outbound side. */
  readonly peer: WorkloadLabels | undefined;
  /** The chain that serves it at present; undefined = not known yet, null = none (any more). */
  chain(): TcpChain | undefined | null;
}

/** What sessions share. */
export interface TcpContext {
  readonly clock: Clock;
  readonly configuration: SnapshotSource;
  readonly load: LoadTable;
  readonly connector: Connector;
  readonly upstreamMetrics: UpstreamMetrics;
  readonly authorization: AuthorizationMetrics;
  readonly askAuthorizer: ConnectionAuthorizer;
  readonly outliers: OutlierRecorder;
  readonly coarseWheel: TimerWheel;
  readonly keepAlive: KeepAlive;
  readonly parking: ParkingLot;
  readonly onConfigurationChanged: Event<void>;
  readonly telemetry: TcpObserver;
  readonly detection: DetectionContext;
  /** Somebody asks for an authority that may not be subscribed to. */
  readonly onDemand: (authority: string) => void;
  /** 32 unsigned random bits, for the decisions about one connection. */
  newEntropy(): number;
}

/** Counts the bytes of one connection while they flow. */
export interface TcpTraffic {
  /** From the client. */
  received(bytes: number): void;
  /** To the client. */
  sent(bytes: number): void;
}

/** Is told about every session. */
export interface TcpObserver {
  /** Both sides are connected, or `record` ends without. */
  opened(record: TcpRecord): TcpTraffic;
  closed(record: TcpRecord): void;
}

/** What is known of a session. */
export interface TcpRecord {
  readonly source: TcpSource;
  readonly chain: TcpChain | undefined;
  readonly cluster: ClusterPart | undefined;
  readonly endpoint: EndpointPart | undefined;
  /** Other side: the endpoint's workload (outbound) or the client's (inbound). */
  readonly peer: WorkloadLabels | undefined;
  /** Wall clock, milliseconds since the epoch. */
  readonly startTimeMs: number;
  readonly durationMs: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly attempts: number;
  /** Envoy's response flags, "" for none. */
  readonly flags: string;
  /** Why it ended, when not by the peers' own will. */
  readonly termination: string;
  /** Why the last try to connect failed. */
  readonly transportFailure: string;
  readonly upstreamLocalAddress: string;
}
