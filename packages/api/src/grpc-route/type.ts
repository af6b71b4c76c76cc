import type {
  BackendReference,
  HeaderModifier,
  LocalObjectReference,
  RequestMirror,
  RouteSpec,
  SessionPersistence,
  ValueMatch,
} from "../gateway-api/type.js";

/** Routes of gRPC calls, in Gateway API's vocabulary (`GRPCRoute`). Everything here is valid. */
export interface GRPCRouteSpec extends RouteSpec {
  /** For gateways; services are called by their own names. */
  readonly hostnames?: readonly string[];
  readonly rules?: readonly GRPCRouteRule[];
}

export interface GRPCRouteRule {
  readonly name?: string;
  /** Any of them; default: every call. */
  readonly matches?: readonly GRPCRouteMatch[];
  readonly filters?: readonly GRPCRouteFilter[];
  readonly backendRefs?: readonly GRPCBackendRef[];
  readonly sessionPersistence?: SessionPersistence;
}

/** All conditions that are present must hold. */
export interface GRPCRouteMatch {
  /** At least one of service and method is there. */
  readonly method?: {
    /** Default `Exact`. */
    readonly type?: "Exact" | "RegularExpression";
    /** With its package: `shop.Reviews`. */
    readonly service?: string;
    readonly method?: string;
  };
  readonly headers?: readonly ValueMatch[];
}

export interface GRPCBackendRef extends BackendReference {
  readonly filters?: readonly GRPCRouteFilter[];
}

/** Exactly the field of its type is there. */
export interface GRPCRouteFilter {
  readonly type: "RequestHeaderModifier" | "ResponseHeaderModifier" | "RequestMirror" | "ExtensionRef";
  readonly requestHeaderModifier?: HeaderModifier;
  readonly responseHeaderModifier?: HeaderModifier;
  readonly requestMirror?: RequestMirror;
  readonly extensionRef?: LocalObjectReference;
}
