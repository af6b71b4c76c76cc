import type { KeySource } from "./key-source.js";
import type { AppProtocol, Catalog, HttpRetry, MeshObject } from "@tulle/api";
import type { EncodedResource } from "@tulle/xds";

/** Mesh-wide settings that translation needs; names and defaults are Istio's `meshConfig` where it has them. */
export interface MeshSettings {
  /** `cluster.local` */
  readonly trustDomain: string;
  /** Other names of the trust domain: workloads have either. */
  readonly trustDomainAliases?: readonly string[];
  /** Other trust domains whose workloads are let in. */
  readonly federatedTrustDomains?: readonly string[];
  /** Suffix of service host names, `cluster.local`: `<service>.<namespace>.svc.<domain>`. */
  readonly domainSuffix: string;
  /** Namespace whose policies hold for the whole mesh: `istio-system`. */
  readonly rootNamespace: string;
  /** Whether proxies write access logs, in Istio's default text format. Default true. */
  readonly accessLog?: boolean;
  /** What proxies do with redirected connections to nowhere that the mesh knows; default ALLOW_ANY. */
  readonly outboundTrafficPolicy?: OutboundTrafficPolicy;
  /** Share of a service's instances that must be heard of; with fewer, silent ones are kept. Default 0.2; 0 = off. */
  readonly protectThreshold?: number;
  /** How proxies bring paths into one form before they match (Istio's `pathNormalization`). Default `BASE`. */
  readonly pathNormalization?: "NONE" | "BASE" | "MERGE_SLASHES" | "DECODE_AND_MERGE_SLASHES";
  /**
   * Retries of routes that say nothing of them (Istio's `defaultHttpRetryPolicy`). Default: two, after failures that cannot
   * have reached the application or of what may be repeated.
   */
  readonly defaultHttpRetryPolicy?: HttpRetry;
  /**
   * Retries of the callee's sidecar towards its application (Istio's `defaultInboundHttpRetryPolicy`); without `attempts`
   * none. Default: two, of what never reached the application.
   */
  readonly defaultInboundHttpRetryPolicy?: HttpRetry;
}

/** Istio's `meshConfig.outboundTrafficPolicy.mode`: pass unknown destinations through, or close them. */
export type OutboundTrafficPolicy = "ALLOW_ANY" | "REGISTRY_ONLY";

/** The client languages that translation speaks, chosen by `node.user_agent_name`. */
export type Dialect = "tulle" | "grpc";

/** A port of the workload that a sidecar fronts. */
export interface InboundPort {
  readonly service: string;
  readonly namespace: string;
  /** The port that callers name. */
  readonly servicePort: number;
  /** Where the application listens on the workload's loopback. */
  readonly appPort: number;
  /** What the workload says that the port speaks; what is registered counts more. Default `auto`. */
  readonly protocol?: AppProtocol;
  /** Version of the PROXY header that tells the application its client; absent: none. */
  readonly proxyProtocol?: 1 | 2;
}

/** What a gateway says of where it stands. */
export interface GatewayRole {
  /** Proxies in front of it whose `x-forwarded-for` is believed (Istio's `numTrustedProxies`). */
  readonly trustedProxies: number;
}

/**
 * What of a client its configuration depends on, and nothing else: clients with an equal view get the same bytes.
 */
export interface ClientView {
  readonly dialect: Dialect;
  /** Namespace against which short names are resolved and policies are selected. */
  readonly namespace: string;
  /** Whether the client can speak mutual TLS with SVIDs of this mesh. */
  readonly mtls: boolean;
  /** Labels of the workload: policies' selectors match on them. */
  readonly labels: Readonly<Record<string, string>>;
  /** Empty for clients without inbound listeners. */
  readonly inbound: readonly InboundPort[];
  /** Whether connections to the workload may be redirected to its inbound listener. Default false. */
  readonly intercepts?: boolean;
  /** Set for a gateway: it opens the ports that Gateways say, and has no application behind it. */
  readonly gateway?: GatewayRole;
  /** Service account that the client has proved; set where Secrets are asked for, which alone depend on it. */
  readonly serviceAccount?: string;
}

/**
 * Read access to everything that translation may depend on. Every read goes through here, so the caller can record
 * what a resource was made from (see `Dependency`) and redo it only when one of these changes.
 */
export interface MeshReader {
  readonly settings: MeshSettings;
  readonly catalog: Catalog;
  /** All objects of a kind, in a stable order (namespace, then name). */
  objects(group: string, kind: string): readonly MeshObject[];
  /** The virtual IP of a host in full, lower-case; undefined while it has none. Absent: nobody allocates any. */
  virtualIp?(host: string): string | undefined;
  /** The public keys of an issuer of tokens, a JWK Set as JSON; undefined while they are not here. Absent: nobody fetches any. */
  tokenKeys?(source: KeySource): string | undefined;
}

/**
 * What a resource was made from. `service:<namespace>/<name>` = shape of a registered service (ports, protocols,
 * accounts, whether it exists); `endpoints:<namespace>/<name>` = its instances and their health;
 * `objects:<group>/<kind>` = all objects of a kind; `keys:<source>` = an issuer's public keys; {@link VIRTUAL_IPS_DEPENDENCY} = which host has which virtual IP.
 */
export type Dependency = string;

/** Changes with every allocation and release of a virtual IP, so with every service that appears or goes. */
export const VIRTUAL_IPS_DEPENDENCY: Dependency = "virtual-ips";

export interface Translated {
  readonly resource: EncodedResource;
  readonly dependencies: readonly Dependency[];
  /** `<kind>/<namespace>/<name>` of the objects that shaped it, for status and provenance. */
  readonly owners: readonly string[];
  /** What a user should know: a route dropped for this dialect, a subset that nothing declares. */
  readonly warnings: readonly string[];
  /** Those of the warnings that no analyzer finds: {@link analyze} reports them as such. */
  readonly remarks: readonly string[];
}

/** The name means nothing in this view. What it depends on still matters: it may come to mean something. */
export interface Untranslated {
  readonly resource: undefined;
  readonly dependencies: readonly Dependency[];
}

/**
 * The whole of translation: one resource of one type for one view. Pure: equal inputs give equal bytes.
 *
 * Names (tulle and grpc dialects alike, cluster names are Istio's):
 * - Listener `<authority>` as a client writes it (`reviews:9080`, `reviews.default`, `reviews.default.svc.cluster.local:9080`):
 *   an API listener whose route is `<host>:<port>` in full, or for a port that does not carry HTTP, or is not said to, one
 *   without address and with filter chains that carry bytes, and HTTP where it is found; `virtualInbound`: the workload's inbound listener, of a gateway all of its ports; `virtualOutbound`: where
 *   redirected connections to unknown destinations go; `virtualOutboundHttp`: HTTP to hosts outside of the mesh, where that is allowed.
 * - Secret `kubernetes://<name>`: a certificate of a gateway, `kubernetes://<name>-cacert` the roots of its clients'.
 * - RouteConfiguration `http.<port>` and `https.<port>.<port's name>.<Gateway>.<namespace>`: a gateway's.
 * - NameTable `name-table`: every host that the client may resolve, with its virtual IP.
 * - RouteConfiguration `<full host>:<port>`.
 * - Cluster and ClusterLoadAssignment `outbound|<port>|<subset>|<full host>`; Cluster `inbound|<service port>||<full host>` (static), and
 *   `InboundPassthroughCluster` and `PassthroughCluster` (the original destination).
 * - Secret `kubernetes://<name>` and `kubernetes://<name>-cacert`: a credential that a DestinationRule names, of the client's namespace.
 */
export type Translate = (
  reader: MeshReader,
  view: ClientView,
  typeUrl: string,
  name: string,
) => Translated | Untranslated;
