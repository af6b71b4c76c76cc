import type { StringMatch } from "../schema/match.js";

/**
 * Routing rules for calls to some hosts, in Istio's vocabulary. Everything here is valid: durations parse, ports are in
 * range, one-ofs hold exactly one, deprecated fields are rewritten to their successors.
 */
export interface VirtualServiceSpec {
  /** Short names (of the object's namespace), full names, `*.suffix` or `*`. At least one, unless it is a delegate. */
  readonly hosts?: readonly string[];
  /** `mesh` (default when empty) means all sidecars; anything else names a gateway. */
  readonly gateways?: readonly string[];
  /** Tried in order; the first that matches is taken. */
  readonly http?: readonly HttpRoute[];
  readonly tls?: readonly TlsRoute[];
  readonly tcp?: readonly TcpRoute[];
  /** Namespaces that see this rule: `.`, `*` (default) or names. */
  readonly exportTo?: readonly string[];
}

/** One rule: conditions (any of `match`; none = always) and exactly one of route, redirect, directResponse, delegate. */
export interface HttpRoute {
  readonly name?: string;
  readonly match?: readonly HttpMatchRequest[];
  readonly route?: readonly HttpRouteDestination[];
  readonly redirect?: HttpRedirect;
  readonly directResponse?: HttpDirectResponse;
  readonly delegate?: Delegate;
  readonly rewrite?: HttpRewrite;
  /** Whole request, retries included. Go duration. Default: none. */
  readonly timeout?: string;
  readonly retries?: HttpRetry;
  readonly fault?: HttpFaultInjection;
  readonly mirror?: Destination;
  /** Share of requests that `mirror` gets; default all. */
  readonly mirrorPercentage?: Percent;
  readonly mirrors?: readonly HttpMirrorPolicy[];
  readonly corsPolicy?: CorsPolicy;
  readonly headers?: HeaderManipulation;
}

/** All conditions that are present must hold. */
export interface HttpMatchRequest {
  readonly name?: string;
  readonly uri?: StringMatch;
  readonly scheme?: StringMatch;
  readonly method?: StringMatch;
  readonly authority?: StringMatch;
  /** Lower-case header names. An empty match means that the header is present. */
  readonly headers?: Readonly<Record<string, StringMatch>>;
  /** Conditions that must not hold. An empty match means that the header is absent. */
  readonly withoutHeaders?: Readonly<Record<string, StringMatch>>;
  readonly queryParams?: Readonly<Record<string, StringMatch>>;
  readonly port?: number;
  readonly sourceLabels?: Readonly<Record<string, string>>;
  readonly sourceNamespace?: string;
  readonly gateways?: readonly string[];
  /** Applies to `exact` and `prefix` of `uri` only. */
  readonly ignoreUriCase?: boolean;
  readonly statPrefix?: string;
}

export interface Destination {
  readonly host: string;
  readonly subset?: string;
  readonly port?: PortSelector;
}

export interface PortSelector {
  readonly number: number;
}

export interface HttpRouteDestination {
  readonly destination: Destination;
  /** Relative to the sum of the rule's weights. Absent on a rule's only destination means all. */
  readonly weight?: number;
  readonly headers?: HeaderManipulation;
}

/** Header operations, before the request goes on and before the response goes back. */
export interface HeaderManipulation {
  readonly request?: HeaderOperations;
  readonly response?: HeaderOperations;
}

export interface HeaderOperations {
  readonly set?: Readonly<Record<string, string>>;
  readonly add?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}

export interface HttpRedirect {
  readonly uri?: string;
  /** Replaces the matched prefix only. Not together with `uri`. */
  readonly prefixRewrite?: string;
  readonly authority?: string;
  readonly scheme?: string;
  /** Not together with `derivePort`. */
  readonly port?: number;
  readonly derivePort?: "FROM_PROTOCOL_DEFAULT" | "FROM_REQUEST_PORT";
  /** 301 (default), 302, 303, 307 or 308. */
  readonly redirectCode?: number;
}

export interface HttpDirectResponse {
  /** 200 to 599. */
  readonly status: number;
  readonly body?: { readonly string: string } | { readonly bytes: string };
}

/** Names a VirtualService without hosts whose http rules stand in this place. */
export interface Delegate {
  readonly name: string;
  /** Default: the namespace of the object that delegates. */
  readonly namespace?: string;
}

export interface HttpRewrite {
  /** Replaces the matched prefix, or the whole path for other matches. */
  readonly uri?: string;
  readonly authority?: string;
  readonly uriRegexRewrite?: { readonly match: string; readonly rewrite: string };
}

export interface HttpRetry {
  /** Tries after the first one; 0 turns retries off. Default 2. */
  readonly attempts?: number;
  /** Go duration; default: the route's timeout. */
  readonly perTryTimeout?: string;
  /** Comma-separated conditions and status codes. */
  readonly retryOn?: string;
  readonly retryRemoteLocalities?: boolean;
  /** Default true. */
  readonly retryIgnorePreviousHosts?: boolean;
  /** Go duration: the first back-off, jittered; grows to ten times that. Default 25ms. */
  readonly backoff?: string;
}

/** 0 to 100, fractions allowed. */
export interface Percent {
  readonly value: number;
}

export interface HttpFaultInjection {
  readonly delay?: {
    /** Go duration of at least 1ms. */
    readonly fixedDelay: string;
    /** Default: every request. */
    readonly percentage?: Percent;
  };
  /** Exactly one of the statuses. */
  readonly abort?: {
    /** 200 to 599. */
    readonly httpStatus?: number;
    /** Name of a gRPC status (`UNAVAILABLE`) or its number. */
    readonly grpcStatus?: string;
    /** Default: every request. */
    readonly percentage?: Percent;
  };
}

export interface HttpMirrorPolicy {
  readonly destination: Destination;
  readonly percentage?: Percent;
}

export interface CorsPolicy {
  readonly allowOrigins?: readonly StringMatch[];
  readonly allowMethods?: readonly string[];
  readonly allowHeaders?: readonly string[];
  readonly exposeHeaders?: readonly string[];
  /** Go duration of whole seconds. */
  readonly maxAge?: string;
  readonly allowCredentials?: boolean;
  /** What happens to preflights of origins that are not allowed; default FORWARD. */
  readonly unmatchedPreflights?: "UNSPECIFIED" | "FORWARD" | "IGNORE";
}

export interface TlsRoute {
  /** At least one. */
  readonly match: readonly TlsMatchAttributes[];
  readonly route: readonly RouteDestination[];
}

export interface TlsMatchAttributes extends L4MatchAttributes {
  /** At least one; each is among the object's hosts or below them. */
  readonly sniHosts: readonly string[];
}

export interface TcpRoute {
  readonly match?: readonly L4MatchAttributes[];
  readonly route: readonly RouteDestination[];
}

export interface L4MatchAttributes {
  /** IP addresses or CIDR blocks. */
  readonly destinationSubnets?: readonly string[];
  readonly port?: number;
  readonly sourceSubnet?: string;
  readonly sourceLabels?: Readonly<Record<string, string>>;
  readonly gateways?: readonly string[];
  readonly sourceNamespace?: string;
}

export interface RouteDestination {
  readonly destination: Destination;
  readonly weight?: number;
}
