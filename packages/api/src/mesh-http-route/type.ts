import type { HeaderModifier, ValueMatch } from "../gateway-api/type.js";
import type { HTTPPathModifier, HTTPRequestRedirect } from "../http-route/type.js";
import type { KumaBackendRef, KumaDestination, KumaPercentage, KumaPolicySpec } from "../kuma/type.js";

/** Routes of HTTP requests, in Kuma's vocabulary (`MeshHTTPRoute`). Everything here is valid. */
export interface MeshHTTPRouteSpec extends KumaPolicySpec {
  readonly to?: readonly MeshHTTPRouteTo[];
}

export interface MeshHTTPRouteTo {
  readonly targetRef: KumaDestination;
  /** Of gateways; services are called by their own names. */
  readonly hostnames?: readonly string[];
  readonly rules?: readonly MeshHTTPRouteRule[];
}

export interface MeshHTTPRouteRule {
  /** Any of them; at least one. Rules with the same ones are one rule. */
  readonly matches: readonly MeshHTTPMatch[];
  readonly default: {
    readonly filters?: readonly MeshHTTPFilter[];
    /** Default: the service that is called. */
    readonly backendRefs?: readonly KumaBackendRef[];
  };
}

/** All conditions that are present must hold. */
export interface MeshHTTPMatch {
  readonly path?: {
    /** `PathPrefix`: whole segments. */
    readonly type: "Exact" | "PathPrefix" | "RegularExpression";
    readonly value: string;
  };
  readonly method?: string;
  readonly queryParams?: readonly ValueMatch[];
  readonly headers?: readonly MeshHeaderMatch[];
}

export interface MeshHeaderMatch {
  /** Default `Exact`. */
  readonly type?: "Exact" | "Present" | "RegularExpression" | "Absent" | "Prefix";
  readonly name: string;
  /** Not with `Present` and `Absent`. */
  readonly value?: string;
}

/** Exactly the field of its type is there. */
export interface MeshHTTPFilter {
  readonly type:
    | "RequestHeaderModifier"
    | "ResponseHeaderModifier"
    | "RequestRedirect"
    | "URLRewrite"
    | "RequestMirror";
  readonly requestHeaderModifier?: HeaderModifier;
  readonly responseHeaderModifier?: HeaderModifier;
  readonly requestRedirect?: HTTPRequestRedirect;
  readonly urlRewrite?: MeshUrlRewrite;
  readonly requestMirror?: {
    /** Default 100. */
    readonly percentage?: KumaPercentage;
    readonly backendRef: Omit<KumaBackendRef, "weight">;
  };
}

export interface MeshUrlRewrite {
  readonly hostname?: string;
  /** A prefix can be replaced where all matches of the rule are of prefixes. */
  readonly path?: HTTPPathModifier;
  /** The host becomes that of the backend. Not together with `hostname`. */
  readonly hostToBackendHostname?: boolean;
}
