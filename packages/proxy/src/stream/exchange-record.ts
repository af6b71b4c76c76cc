import type {
  AdmissionProgress,
  AttemptState,
  ClusterPart,
  EndpointPart,
  HttpChain,
  Plan,
  Provenance,
  RequestMetadata,
  Snapshot,
  WorkloadLabels,
} from "@tulle/engine";
import {
  GrpcMessageCounter,
  NO_FIELDS,
  NO_GRPC_STATUS,
  type HeaderList,
  type RequestHead,
} from "@tulle/http";

import type { ProxyError } from "../proxy-status.js";
import { formatAddress } from "@tulle/base";
import { TryLog } from "../records/try-log.js";
import type { AccessLogEntry } from "../telemetry/access-log-format.js";
import { CanonicalRequest } from "./canonical-request.js";
import type { DownstreamStream, RequestSource } from "./contract.js";
import type { EdgeRequest } from "./edge-request.js";

/** Details of exchanges whose client left. */
export const CLIENT_GONE = "downstream_remote_disconnect";

/** What is known of an exchange: what telemetry reads when it is over. Filled anew for every request. */
export abstract class ExchangeRecord implements AccessLogEntry {
  readonly source: RequestSource;
  readonly request = new CanonicalRequest();
  readonly attempt: AttemptState = {
    attempts: 0,
    triedSlots: [],
    deadlineMs: 0,
    affinity: undefined,
    probes: true,
  };
  /** How each try went. */
  readonly tries = new TryLog();
  protocol = "";
  /** 32 bits of the request id's hash: what chance is drawn from. */
  entropy = 0;
  /** The configuration that the route was chosen with. */
  snapshot: Snapshot | undefined;
  chain: HttpChain | undefined;
  plan: Plan | undefined;
  /** Where the route comes from. */
  provenance: Provenance | undefined;
  /** Of a request from outside the mesh: where it came from. */
  edge: EdgeRequest | undefined;
  /** What the chain's steps alter; undefined when none was asked. */
  admission: AdmissionProgress | undefined;
  /** The cluster that was routed to, as it was at the last try. */
  cluster: ClusterPart | undefined;
  /** The endpoint of the last try. */
  endpoint: EndpointPart | undefined;
  /** The address of a host outside of the mesh that the request goes to; undefined of all others. */
  outside: EndpointPart | undefined;
  /** Other side: the endpoint's workload (outbound) or the client's (inbound). */
  peer: WorkloadLabels | undefined;
  /** Whether the request has come whole. */
  requestDone = false;
  /** The route's timeout as it counts for this request, milliseconds; 0 = none. */
  timeoutMs = 0;
  /** The last try took too long. */
  timeoutRetry = false;
  /** It was not tried again because its body is larger than what is kept. */
  bodyNotKept = false;
  startTimeMs = 0;
  durationMs = 0;
  responseCode = 0;
  responseFlags = "";
  responseCodeDetails = "";
  /** What Proxy-Status shall say went wrong; undefined where the flags say it, or nothing did. */
  proxyError: ProxyError | undefined;
  connectionTerminationDetails = "";
  upstreamTransportFailureReason = "";
  bytesReceived = 0;
  bytesSent = 0;
  /** The request is gRPC. */
  grpc = false;
  /** What it ended with; `NO_GRPC_STATUS` while that is not known, or never will be. */
  grpcStatus: number = NO_GRPC_STATUS;
  /** Of gRPC calls only: made at the first. */
  requestMessages: GrpcMessageCounter | undefined;
  responseMessages: GrpcMessageCounter | undefined;
  requestId = "";
  routeName = "";
  upstreamHost = "";
  upstreamCluster = "";
  upstreamLocalAddress = "";
  responseHeaders: HeaderList = NO_FIELDS;

  constructor(source: RequestSource) {
    this.source = source;
  }

  get method(): string {
    return this.request.method;
  }

  get path(): string {
    return this.request.path;
  }

  get authority(): string {
    return this.request.authority;
  }

  get scheme(): string {
    return this.request.scheme;
  }

  get requestHeaders(): HeaderList {
    return this.request.headers;
  }

  get attemptCount(): number {
    return this.attempt.attempts;
  }

  get downstreamLocalAddress(): string {
    return this.source.localAddress;
  }

  /** `host:port` of the client; behind proxies that are believed its address alone is known. */
  get metadata(): RequestMetadata | undefined {
    return this.admission?.altered?.metadata;
  }

  get downstreamRemoteAddress(): string {
    if (this.edge?.trusts === true) return formatAddress(this.edge.clientAddress, 0);
    return this.source.remoteAddress;
  }

  get downstreamPeerUriSan(): string {
    return this.source.peerSpiffeId;
  }

  get requestedServerName(): string {
    return this.source.serverName;
  }

  /** Adds one of Envoy's response flags; "" and "-" are none. */
  addFlag(flag: string): void {
    if (flag === "" || flag === "-") return;
    this.responseFlags = this.responseFlags === "" ? flag : `${this.responseFlags},${flag}`;
  }

  /** Another request begins in place of the one that was answered with a redirect: its tries are its own. */
  protected clearAttempt(): void {
    this.attempt.attempts = 0;
    this.attempt.deadlineMs = 0;
    // Setting `length` calls into the runtime, 60 ns; there is one, nearly always.
    while (this.attempt.triedSlots.length > 0) this.attempt.triedSlots.pop();
    this.attempt.affinity = undefined;
    this.outside = undefined;
    this.timeoutRetry = false;
    this.bodyNotKept = false;
  }

  /** Called once the head says that the request is gRPC. */
  protected clearMessages(): void {
    (this.requestMessages ??= new GrpcMessageCounter()).reset();
    (this.responseMessages ??= new GrpcMessageCounter()).reset();
  }

  /** `startTimeMs`: wall clock. */
  protected clear(
    head: RequestHead,
    startTimeMs: number,
    { http2, protocol }: Pick<DownstreamStream, "http2" | "protocol">,
  ): void {
    this.clearAttempt();
    this.requestDone = false;
    this.timeoutMs = 0;
    this.tries.clear();
    this.protocol = protocol ?? (http2 ? "HTTP/2" : head.minorVersion === 0 ? "HTTP/1.0" : "HTTP/1.1");
    this.snapshot = undefined;
    this.chain = undefined;
    this.plan = undefined;
    this.provenance = undefined;
    this.edge = undefined;
    this.admission = undefined;
    this.cluster = undefined;
    this.endpoint = undefined;
    this.peer = undefined;
    this.startTimeMs = startTimeMs;
    this.durationMs = 0;
    this.responseCode = 0;
    this.responseFlags = "";
    this.responseCodeDetails = "";
    this.proxyError = undefined;
    this.connectionTerminationDetails = "";
    this.upstreamTransportFailureReason = "";
    this.bytesReceived = 0;
    this.bytesSent = 0;
    this.grpc = false;
    this.grpcStatus = NO_GRPC_STATUS;
    this.routeName = "";
    this.upstreamHost = "";
    this.upstreamCluster = "";
    this.upstreamLocalAddress = "";
    this.responseHeaders = NO_FIELDS;
  }
}
