import type { ConnectionPoolSettings, OutlierDetection } from "../destination-rule/type.js";
import type { HttpRetry } from "../virtual-service/type.js";

/** Settings of the whole mesh, under Istio's names of `meshConfig`. Counts in the root namespace (`istio-system`). */
export interface MeshConfigSpec {
  /** Services that policies name: who is asked by an AuthorizationPolicy of action CUSTOM. */
  readonly extensionProviders?: readonly ExtensionProvider[];
  /** The mesh's own mutual TLS: between sidecars, and of gateways' servers with `ISTIO_MUTUAL`. */
  readonly meshMTLS?: TlsConfig;
  /** All other TLS: of gateways' servers, and with servers outside the mesh. What they say themselves counts more. */
  readonly tlsDefaults?: TlsConfig;
  /** How services are called; what a DestinationRule says of its pool or of outliers is said in place of this. */
  readonly defaultTrafficPolicy?: {
    readonly connectionPool?: ConnectionPoolSettings;
    readonly outlierDetection?: OutlierDetection;
  };
  /** Of connections whose DestinationRule has no pool; default 10s. */
  readonly connectTimeout?: string;
  /**
   * How long a client may say nothing, on ports without a declared protocol, before its server gets a chance to speak. Default
   * 50ms; 0s: as long as it takes, and servers that speak first never do.
   */
  readonly protocolDetectionTimeout?: string;
  /** Of routes that say nothing of retries; default: two, of what cannot have reached the application. */
  readonly defaultHttpRetryPolicy?: HttpRetry;
  /** Of the callee's sidecar towards its application. */
  readonly defaultInboundHttpRetryPolicy?: HttpRetry;
}

/** Istio's `TLSConfig`: what TLS is spoken with. */
export interface TlsConfig {
  /** Default (and `TLS_AUTO`): TLSV1_3 in the mesh, TLSV1_2 elsewhere. */
  readonly minProtocolVersion?: "TLS_AUTO" | "TLSV1_2" | "TLSV1_3";
  /** In the order in which they are preferred; default OpenSSL's. */
  readonly ecdhCurves?: readonly ("X25519" | "P-256" | "P-384" | "P-521")[];
  /** Suites of TLS 1.2, by OpenSSL's names; those of TLS 1.3 are always the same. */
  readonly cipherSuites?: readonly string[];
}

/** Exactly one of the kinds of providers. */
export interface ExtensionProvider {
  /** What policies call it. */
  readonly name: string;
  readonly envoyExtAuthzGrpc?: GrpcAuthorizationProvider;
  readonly envoyExtAuthzHttp?: HttpAuthorizationProvider;
}

/** What both kinds of authorization services have in common. */
export interface AuthorizationProvider {
  /** `[namespace/]host`: a service of the mesh or a host of a ServiceEntry. */
  readonly service: string;
  readonly port: number;
  /** How long the service may take; Istio's default: 10 minutes. */
  readonly timeout?: string;
  /** Requests pass when the service cannot be asked. Default false. */
  readonly failOpen?: boolean;
  /** What a request is answered with when the service cannot be asked; default 403. */
  readonly statusOnError?: string;
  /** A permission that alters the request's fields has its route chosen anew. Default false. */
  readonly clearRouteCache?: boolean;
  /** Absent: the service is not told the body. */
  readonly includeRequestBodyInCheck?: IncludedBody;
}

/** `envoy.service.auth.v3.Authorization/Check`. It is told all of the request's fields. */
export type GrpcAuthorizationProvider = AuthorizationProvider;

/** A request like the client's. Names of fields: `x-user`, `x-*`, `*-id` or `*`, in any case. */
export interface HttpAuthorizationProvider extends AuthorizationProvider {
  /** Goes before the path of the check. */
  readonly pathPrefix?: string;
  /** Fields of the request that the service is told, beside Host and Authorization. */
  readonly includeRequestHeadersInCheck?: readonly string[];
  /** Fields that the check has in any case. */
  readonly includeAdditionalHeadersInCheck?: Readonly<Record<string, string>>;
  /** Fields of its answer that go on with the request. */
  readonly headersToUpstreamOnAllow?: readonly string[];
  /** Fields of a refusal that the client gets; absent: all. */
  readonly headersToDownstreamOnDeny?: readonly string[];
  /** Fields of a permission that the client gets with the response. */
  readonly headersToDownstreamOnAllow?: readonly string[];
}

export interface IncludedBody {
  readonly maxRequestBytes?: number;
  /** Of a longer body the beginning is told; if not, such a request is refused with 413. */
  readonly allowPartialMessage?: boolean;
  /** The body is told as bytes; only gRPC tells the difference. */
  readonly packAsBytes?: boolean;
}
