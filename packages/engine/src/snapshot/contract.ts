import type { JsonObject } from "@bufbuild/protobuf";
import type { PathNormalization } from "@tulle/http";

import type { RuntimeValues } from "../route/runtime-values.js";
import type { SourceRanges } from "../route/source-ranges.js";
import type { ConnectionSettings } from "./connection-settings.js";
import type { DnsSettings } from "./dns-settings.js";
import type { HealthCheckSettings } from "./health-check-settings.js";
import type { OutlierSettings } from "./outlier-settings.js";
import type { ProxyStatusSettings } from "./proxy-status-settings.js";
import type { TlsSecret } from "./secrets.js";
import type { TlsSettings } from "./tls-parameters.js";
import type { CertificateSource, PemSource, SecretName, TrustSource } from "./tls-sources.js";

export type { AddressFamily, DnsSettings } from "./dns-settings.js";
export type { ConnectionSettings } from "./connection-settings.js";
export type {
  GrpcProbe,
  HealthCheckSettings,
  HttpProbe,
  RedisProbe,
  TcpProbe,
} from "./health-check-settings.js";
export type { OutlierSettings } from "./outlier-settings.js";
export type { TlsSecret } from "./secrets.js";
export type { TlsSettings, TlsVersion } from "./tls-parameters.js";
export type { CertificateSource, PemSource, SecretName, TrustSource } from "./tls-sources.js";

/** Object, rule and index that a part of the configuration came from (Istio's `filter_metadata.istio.config`). */
export interface Provenance {
  /** `/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews`, or "" for what Tulle adds itself. */
  readonly config: string;
  /** `http[0]`, or "". */
  readonly rule: string;
}

/** What every TLS connection to an endpoint has. Equal keys mean connections may be shared. */
interface UpstreamTlsBase {
  /** Distinguishes connection pools. */
  readonly key: string;
  readonly sni: string;
  readonly alpn: readonly string[];
}

/** Mutual TLS between workloads of the mesh, with their SPIFFE ids. */
export interface MeshTls extends UpstreamTlsBase {
  readonly kind: "mesh";
  /** The peer must present one of these SPIFFE ids; never empty. */
  readonly spiffeIds: ReadonlySet<string>;
  readonly settings: TlsSettings;
}

/** A subject alternative name that a peer's certificate may have. */
export interface PeerName {
  readonly type: "dns" | "uri" | "ip";
  readonly value: string;
}

/** TLS with a server outside the mesh, whose application speaks plaintext. */
export interface OriginatedTls extends UpstreamTlsBase {
  readonly kind: "originated";
  /** Whose certificates are believed; undefined = anybody's. */
  readonly trust: TrustSource | SecretName | undefined;
  /** The server's certificate must have one of these names; empty only where anybody is believed. */
  readonly names: readonly PeerName[];
  /** What the proxy shows; undefined = no certificate. */
  readonly certificate: CertificateSource | SecretName | undefined;
  readonly settings: TlsSettings;
}

/** How to reach an endpoint with TLS. */
export type UpstreamTls = MeshTls | OriginatedTls;

/** A workload as metrics name it (Istio's endpoint metadata `workload;namespace;canonical name;revision;cluster`). */
export interface WorkloadLabels {
  readonly workload: string;
  readonly namespace: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
}

export interface EndpointPart {
  /** `host:port` */
  readonly key: string;
  readonly host: string;
  readonly port: number;
  /** What it is called by; "" where it has an address alone. */
  readonly hostname: string;
  /** Undefined = plaintext. */
  readonly tls: UpstreamTls | undefined;
  /** Plaintext HTTP/2 by prior knowledge. With TLS, ALPN says which version of HTTP it is. */
  readonly http2: boolean;
  /** Version of the PROXY header that each connection begins with; undefined = none. */
  readonly proxyProtocol: 1 | 2 | undefined;
  /** What its header of version 2 says besides addresses; undefined = nothing. */
  readonly proxyTlvs: UpstreamTlvs | undefined;
  /** Each client's connection has connections of its own, which nobody else's requests go over. */
  readonly perClient: boolean;
  /**
   * The same endpoint with `http2`, for gRPC, where the server speaks whatever its client does (Envoy's
   * `use_downstream_protocol_config`); undefined where it does not.
   */
  readonly overHttp2: EndpointPart | undefined;
  /** In the load table. Kept across updates for as long as the endpoint's identity is. */
  readonly slot: number;
  readonly weight: number;
  readonly healthy: boolean;
  /** Its metadata `envoy.lb`, which subsets and retries go by; absent = it has none. */
  readonly labels?: JsonObject | undefined;
  readonly workload: WorkloadLabels | undefined;
}

/** How requests wait for an endpoint of their cluster to be ready. */
export interface EndpointWait {
  readonly timeoutMs: number;
  /** In each thread. */
  readonly maxRequests: number;
}

export interface ClusterPart {
  readonly name: string;
  /** Full host of the service and its port, for metrics; "" when unknown. */
  readonly serviceHost: string;
  readonly servicePort: number;
  readonly subset: string;
  /** Cluster slot in the load table. */
  readonly slot: number;
  readonly connectTimeoutMs: number;
  /** The same cluster with the circuit breakers of priority HIGH, counted for themselves; undefined when it has none. */
  readonly high: ClusterPart | undefined;
  /** Envoy's circuit breakers, priority DEFAULT. */
  readonly maxConnections: number;
  /** Connections to one endpoint; absent = no limit but `maxConnections`. */
  readonly maxConnectionsPerHost?: number;
  /** Connection pools there may be, and the slot on which they are counted as connections; absent = no limit. */
  readonly pools?: { readonly max: number; readonly slot: number } | undefined;
  /** Gauges say how much of its limits is left; absent = they do not. */
  readonly tracksRemaining?: boolean;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  /** Requests after which a connection is closed; 0 = no limit. */
  readonly maxRequestsPerConnection: number;
  readonly connection: ConnectionSettings;
  /** What ejects an endpoint that fails; undefined = nothing does. */
  readonly outlier: OutlierSettings | undefined;
  /** How endpoints are asked whether they are well; undefined = they are not. */
  readonly healthCheck: HealthCheckSettings | undefined;
  /** Requests wait for an endpoint where none is ready, as long and as many as this; absent = they fail at once. */
  readonly endpointWait?: EndpointWait | undefined;
  /** Its endpoints are weighed by the reports in their answers, of which those further apart do not belong together, ms. */
  readonly reportGapMs?: number | undefined;
  /** Headers in which a request may name the endpoints that it goes to. */
  readonly overrideHeaders?: readonly string[] | undefined;
  /** Every endpoint, healthy or not; replaced whole by an update. */
  readonly endpoints: readonly EndpointPart[];
  /** Of an aggregate: the clusters that have its endpoints, in the order in which they are used; empty = it is none. */
  readonly members: readonly string[];
  /** Whether EDS (or a static assignment) has answered. Before, requests wait. */
  readonly warm: boolean;
  /** Type ORIGINAL_DST: it has no endpoints, the connection goes to where the caller's connection was going. */
  readonly originalDestination: boolean;
  readonly provenance: Provenance;
}

/** Limits of a client's connection that a listener may set. Named as the proxy names them. */
export type ChainLimit =
  | "connection.headerTimeoutMs"
  | "connection.idleTimeoutMs"
  | "connection.maxDurationMs"
  | "connection.delayedCloseMs"
  | "connection.maxBufferedBytes"
  | "http1.maxHeadBytes"
  | "http1.maxHeaderCount"
  | "http2.maxHeaderListBytes"
  | "http2.maxHeaderCount"
  | "http2.headerTimeoutMs"
  | "http2.maxConcurrentStreams"
  | "http2.streamWindowBytes"
  | "http2.connectionWindowBytes"
  | "http2.headerTableBytes"
  | "http2.maxPendingFrames"
  | "http2.maxPendingControlFrames"
  | "http2.maxEmptyFrames"
  | "http2.maxPriorityFramesPerStream"
  | "http2.maxWindowUpdatesPerDataFrame";

/** Those that are set. */
export type ChainLimits = Readonly<Partial<Record<ChainLimit, number>>>;

/** HTTP behaviour of a listener or of one of its filter chains. */
export interface HttpChain {
  readonly protocol: "http";
  /** Listener name, for metrics and logs. */
  readonly name: string;
  /** Name of its RouteConfiguration; "" when the listener holds its routes itself. */
  readonly routeConfiguration: string;
  /** False until every resource that it refers to (routes, clusters, endpoints) has arrived: requests are parked. */
  readonly warm: boolean;
  readonly direction: "inbound" | "outbound";
  /** Whether an access log was asked for, and its format (Envoy's command operators); undefined = none. */
  readonly accessLogFormat: string | undefined;
  /** How long a request may take to arrive whole, milliseconds; 0 or absent = no limit. */
  readonly requestTimeoutMs?: number;
  /** `Plan.maxDurationMs` of routes that say nothing of it; 0 or absent = none. */
  readonly maxDurationMs?: number;
  /** How paths are brought into one form before `route`: the caller does it, and sends on what was matched. */
  readonly pathNormalization: PathNormalization;
  /** Undefined when the listener sets none. One object for as long as the listener does not change. */
  readonly limits: ChainLimits | undefined;
  /** How failures are told in Proxy-Status; undefined = as the proxy does by itself. */
  readonly proxyStatus: ProxyStatusSettings | undefined;
  /** Whether every response carries its request's id. */
  readonly requestIdInResponse: boolean;
  /** Set where clients come from outside the mesh; undefined = they are workloads or the application. */
  readonly edge: EdgeSettings | undefined;
  readonly clientCert: ClientCertForwarding;
}

/**
 * What the application is told of clients' certificates in `x-forwarded-client-cert` (Envoy's `forward_client_cert_details`):
 * nothing; the client's own; that behind what the client says itself; what it says alone, if it shows a certificate
 * (`forward`) or in any case.
 */
export type ClientCertForwarding = "none" | "own" | "append" | "forward" | "always-forward";

/** How a client outside the mesh is told (Envoy's `use_remote_address`). */
export interface EdgeSettings {
  /** Proxies before this one whose `x-forwarded-for` is believed (`xff_num_trusted_hops`). */
  readonly trustedHops: number;
}

/** What connections are carried through: the endpoint is a proxy, and is asked by HTTP's CONNECT for somebody behind it. */
export interface TunnelSettings {
  /** `host:port` */
  readonly target: string;
}

/** A listener, or one of its filter chains, that carries bytes as they are (a tcp_proxy). */
export interface TcpChain {
  readonly protocol: "tcp";
  /** Listener name, for metrics and logs. */
  readonly name: string;
  /** False until every cluster that it refers to has been answered: connections wait. */
  readonly warm: boolean;
  readonly direction: "inbound" | "outbound";
  /** As with {@link HttpChain}; the operators that are about requests are empty. */
  readonly accessLogFormat: string | undefined;
  /** Undefined: its endpoints are who is meant. */
  readonly tunnel: TunnelSettings | undefined;
}

/** Bytes that ask for some server names in a TLS ClientHello. */
export interface ServerNameChain {
  /** Exact names and `*.suffix`, lower-case; empty = any. */
  readonly serverNames: readonly string[];
  readonly tcp: TcpChain;
}

/** A listener whose connections are told apart by their first bytes. */
export interface DetectedChain {
  readonly protocol: "detected";
  /** Listener name, for metrics and logs. */
  readonly name: string;
  /** Whether all of its chains are. */
  readonly warm: boolean;
  /** How long a client may say nothing before the server gets a chance to speak, milliseconds. */
  readonly silenceMs: number;
  /** What carries plaintext HTTP; undefined = it is bytes like any other. */
  readonly http: HttpChain | undefined;
  /** What carries TLS, by the server name that it asks for. Use `chainForServerName`. */
  readonly tls: readonly ServerNameChain[];
  /** What carries everything else. */
  readonly tcp: TcpChain;
}

/** What carries the connections to an authority. */
export type OutboundChain = HttpChain | TcpChain | DetectedChain;

/**
 * What is asked of clients. `optional`: a certificate that is shown must hold. `unverified`: everybody is let in, and the
 * application is told of certificates that hold.
 */
export type ClientDemand = "none" | "optional" | "unverified" | "required";

/** How TLS of clients outside the mesh ends here. */
export interface ServerTls {
  /** Equal keys mean equal settings. */
  readonly key: string;
  /** Equal ones ask the same of clients: a connection that was let in under one is let in under the other. */
  readonly checks: string;
  /** At least one; several are of different key types. */
  readonly certificates: readonly (CertificateSource | SecretName)[];
  readonly clients: ClientDemand;
  /** Whose certificates clients may have; undefined where none are asked for. */
  readonly trust: TrustSource | SecretName | undefined;
  /** Certificates that were taken back, beside those that `trust` says. */
  readonly crl: PemSource | undefined;
  /** A client's certificate must have one of these names; empty = any. */
  readonly names: readonly PeerName[];
  /** Base64 of SHA-256 of the public keys that clients may have; with `hashes` empty, too: any. */
  readonly spki: readonly string[];
  /** SHA-256 of the certificates that clients may have, hexadecimal. */
  readonly hashes: readonly string[];
  readonly alpn: readonly string[];
  readonly settings: TlsSettings;
}

/** One filter chain of the inbound listener. */
export interface InboundChain {
  readonly name: string;
  /** Port that the connection was made to; undefined = any that no other chain names. */
  readonly destinationPort: number | undefined;
  /** It takes what no other chain takes (Envoy's `default_filter_chain`). */
  readonly isDefault: boolean;
  /** SNI values that select it; empty = any. */
  readonly serverNames: readonly string[];
  /** Addresses of clients that select it, at gateways; absent = any. */
  readonly sources?: SourceRanges | undefined;
  /** ALPN protocols, or in plaintext what the first bytes are (`http/1.1`, `h2c`), that select it; empty = any. */
  readonly applicationProtocols: readonly string[];
  /** The mesh's mutual TLS, TLS with other certificates (of a gateway), TLS that passes as it is, or plaintext. */
  readonly transport: "mtls" | "tls" | "passthrough" | "plaintext";
  /** With `tls` only. */
  readonly tls: ServerTls | undefined;
  /** Trust domains whose SPIFFE ids are let in; empty = the workload's own. */
  readonly trustDomains: readonly string[];
  /** Exactly one of the two is set. */
  readonly http: HttpChain | undefined;
  readonly tcp: TcpChain | undefined;
}

/** What a listener makes of PROXY headers (Envoy's listener filter). */
export interface ProxyProtocolFilter {
  /** Connections without a header are refused. */
  readonly required: boolean;
  /** Versions that are read. */
  readonly versions: readonly (1 | 2)[];
  /** Which TLVs endpoints may be told of; undefined = none. */
  readonly passedTlvs: TlvChoice | undefined;
}

/** What else a PROXY header of version 2 says: a type from 0 to 255 with bytes. */
export interface ProxyTlv {
  readonly type: number;
  readonly value: Uint8Array;
}

/** TLVs of these types, or all. */
export type TlvChoice = ReadonlySet<number> | "all";

/** The TLVs of the headers that connections to an endpoint begin with. */
export interface UpstreamTlvs {
  /** Same text = same TLVs. */
  readonly key: string;
  /** Of those that the client's own header had; undefined = none. */
  readonly passed: TlvChoice | undefined;
  /** Instead of passed ones of the same type. */
  readonly added: readonly ProxyTlv[];
}

export interface InboundListener {
  readonly name: string;
  /** Undefined: nothing is said of PROXY headers. */
  readonly proxyProtocol: ProxyProtocolFilter | undefined;
  /** The port that chains mean by a connection made to the listener itself, wherever a proxy really binds it; 0 = none. */
  readonly port: number;
  /** Whether all of its chains have what they need. */
  readonly warm: boolean;
  /** `outbound`: a gateway's. */
  readonly direction: "inbound" | "outbound";
  /** Every place where the listener takes connections, `port` among them; of a sidecar's it is not used. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** How long a client may say nothing in plaintext before the server gets a chance to speak, milliseconds. */
  readonly silenceMs: number;
  /** What the mesh's mutual TLS is spoken with, by all chains that take it. */
  readonly meshTls: TlsSettings;
  readonly chains: readonly InboundChain[];
}

/** One immutable state of the configuration. */
export interface Snapshot {
  /** Counts up with every change. */
  readonly sequence: number;
  /**
   * What carries calls to an authority: an API listener, or one without an address whose chains carry bytes, or HTTP
   * where it is found. Undefined = not known (yet), null = the control plane says that it does not exist.
   */
  outbound(name: string): OutboundChain | undefined | null;
  inbound(name: string): InboundListener | undefined;
  clusters(): Iterable<ClusterPart>;
  /** A cluster by name; undefined = not known, or removed. */
  cluster(name: string): ClusterPart | undefined;
  /** What runtime keys are set to. */
  readonly runtime: RuntimeValues;
  /** A Secret by name; undefined = not known (yet), or removed. */
  secret(name: string): TlsSecret | undefined;
}

export interface ResourceChange {
  readonly typeUrl: string;
  readonly name: string;
  readonly version: string;
  /** Encoded message; undefined = the resource does not exist (any more). */
  readonly bytes: Uint8Array | undefined;
}

export interface Rejection {
  readonly name: string;
  /** For the NACK's error_detail: says which field and why. */
  readonly message: string;
}

/** Takes xDS resources, keeps the last good one of each name, and compiles them into snapshots. */
export interface SnapshotSource {
  readonly current: Snapshot;
  /**
   * Applies one xDS response. What cannot be compiled is rejected by name and its last good version stays; the rest
   * of the response is applied. `current` shows the result on return.
   */
  apply(changes: readonly ResourceChange[]): readonly Rejection[];
  /**
   * The clusters whose endpoints have names, and how those are looked up. What they stand for is applied like a resource
   * of the type `RESOLVED_NAMES_TYPE`. Empty where the source resolves none.
   */
  named(): Iterable<readonly [cluster: string, settings: DnsSettings]>;
  /**
   * Names of each type that `rootListeners` need now, found by walking references: what to subscribe to. Grows as
   * resources arrive (a route names its clusters, a cluster its endpoints).
   */
  wanted(rootListeners: Iterable<string>): ReadonlyMap<string, ReadonlySet<string>>;
  /**
   * Drops what is known of resources that are no longer subscribed to, "does not exist" included: as if they had
   * never arrived. Without this, a name that is asked for again would answer from what it was before.
   */
  forget(typeUrl: string, names: Iterable<string>): void;
  /** The resources as applied, for the configuration kept on disk and for /config_dump. */
  resources(): Iterable<ResourceChange>;
  /** Version of a resource as applied; "" when there is none. */
  version(typeUrl: string, name: string): string;
}
