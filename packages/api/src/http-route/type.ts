import type {
  BackendObjectReference,
  BackendReference,
  HeaderModifier,
  LocalObjectReference,
  RequestMirror,
  RouteSpec,
  SessionPersistence,
  ValueMatch,
} from "../gateway-api/type.js";

/** Routes of HTTP requests, in Gateway API's vocabulary (`HTTPRoute`). Everything here is valid. */
export interface HTTPRouteSpec extends RouteSpec {
  /** For gateways; services are called by their own names. */
  readonly hostnames?: readonly string[];
  /** Default: one rule that matches everything. */
  readonly rules?: readonly HTTPRouteRule[];
}

export interface HTTPRouteRule {
  readonly name?: string;
  /** Any of them; default: everything. */
  readonly matches?: readonly HTTPRouteMatch[];
  readonly filters?: readonly HTTPRouteFilter[];
  readonly backendRefs?: readonly HTTPBackendRef[];
  readonly timeouts?: HTTPRouteTimeouts;
  readonly retry?: HTTPRouteRetry;
  readonly sessionPersistence?: SessionPersistence;
}

/** All conditions that are present must hold. */
export interface HTTPRouteMatch {
  readonly path?: {
    /** Default `PathPrefix`: whole segments. */
    readonly type?: "Exact" | "PathPrefix" | "RegularExpression";
    /** Default `/`. */
    readonly value?: string;
  };
  readonly headers?: readonly ValueMatch[];
  readonly queryParams?: readonly ValueMatch[];
  readonly method?: string;
}

export interface HTTPBackendRef extends BackendReference {
  readonly filters?: readonly HTTPRouteFilter[];
}

/** Exactly the field of its type is there. */
export interface HTTPRouteFilter {
  readonly type:
    | "RequestHeaderModifier"
    | "ResponseHeaderModifier"
    | "RequestMirror"
    | "RequestRedirect"
    | "URLRewrite"
    | "CORS"
    | "ExternalAuth"
    | "ExtensionRef";
  readonly requestHeaderModifier?: HeaderModifier;
  readonly responseHeaderModifier?: HeaderModifier;
  readonly requestMirror?: RequestMirror;
  readonly requestRedirect?: HTTPRequestRedirect;
  readonly urlRewrite?: HTTPUrlRewrite;
  readonly cors?: HTTPCors;
  readonly externalAuth?: HTTPExternalAuth;
  readonly extensionRef?: LocalObjectReference;
}

/** A service is asked whether requests may pass. Nobody answers: they may not. */
export interface HTTPExternalAuth {
  /** `GRPC`: Envoy's ext_authz protocol. Exactly its field is there. */
  readonly protocol: "HTTP" | "GRPC";
  readonly backendRef: BackendObjectReference;
  readonly grpc?: {
    /** Fields of the request that it is shown; empty: all. */
    readonly allowedHeaders?: readonly string[];
  };
  readonly http?: {
    /** Comes before the path of the check. */
    readonly path?: string;
    /** Fields of the request that it is shown, beside Host, Authorization and Content-Length. */
    readonly allowedHeaders?: readonly string[];
    /** Fields of its answer that go on with the request; empty: all. */
    readonly allowedResponseHeaders?: readonly string[];
  };
  readonly forwardBody?: {
    /** Bytes; 0 (default) shows none. */
    readonly maxSize?: number;
  };
}

/** Exactly the field of its type is there. */
export interface HTTPPathModifier {
  readonly type: "ReplaceFullPath" | "ReplacePrefixMatch";
  readonly replaceFullPath?: string;
  /** Only in rules with one match, of a path prefix. */
  readonly replacePrefixMatch?: string;
}

export interface HTTPRequestRedirect {
  readonly scheme?: "http" | "https";
  readonly hostname?: string;
  readonly path?: HTTPPathModifier;
  readonly port?: number;
  /** 301, 302 (default), 303, 307 or 308. */
  readonly statusCode?: number;
}

export interface HTTPUrlRewrite {
  readonly hostname?: string;
  readonly path?: HTTPPathModifier;
}

export interface HTTPCors {
  /** `*`, or origins whose host may hold a `*`. */
  readonly allowOrigins?: readonly string[];
  readonly allowCredentials?: boolean;
  readonly allowMethods?: readonly string[];
  readonly allowHeaders?: readonly string[];
  readonly exposeHeaders?: readonly string[];
  /** Seconds; default 5. */
  readonly maxAge?: number;
}

/** Gateway API durations; `0s` means none. */
export interface HTTPRouteTimeouts {
  readonly request?: string;
  /** Of one try. Not longer than `request`. */
  readonly backendRequest?: string;
}

export interface HTTPRouteRetry {
  /** 400 to 599. */
  readonly codes?: readonly number[];
  /** Tries after the first one; 0 turns retries off. */
  readonly attempts?: number;
  readonly backoff?: string;
}
