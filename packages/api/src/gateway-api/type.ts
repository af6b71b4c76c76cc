/** What Gateway API's kinds of routes have in common. Absent fields mean their defaults: nothing is filled in. */

/** What a route is bound to. */
export interface ParentReference {
  /** Default `gateway.networking.k8s.io`; a Service is of the core group, `""`. */
  readonly group?: string;
  /** Default `Gateway`. For the mesh: `Service`, or Istio's `ServiceEntry` and `Hostname`. */
  readonly kind?: string;
  /** Default: the route's. Another one makes it a consumer route. */
  readonly namespace?: string;
  readonly name: string;
  /** Name of a port. */
  readonly sectionName?: string;
  readonly port?: number;
}

export interface BackendObjectReference {
  /** Default `""`. */
  readonly group?: string;
  /** Default `Service`. */
  readonly kind?: string;
  readonly name: string;
  /** Default: the route's. */
  readonly namespace?: string;
  /** A Service's is always there. */
  readonly port?: number;
}

export interface BackendReference extends BackendObjectReference {
  /** Relative to the sum of the rule's weights; default 1. */
  readonly weight?: number;
}

/** Names an object of the route's namespace. */
export interface LocalObjectReference {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
}

export interface HeaderField {
  readonly name: string;
  readonly value: string;
}

/** Changes of header fields. No name comes twice, in whatever case. */
export interface HeaderModifier {
  readonly set?: readonly HeaderField[];
  readonly add?: readonly HeaderField[];
  readonly remove?: readonly string[];
}

export interface RequestMirror {
  readonly backendRef: BackendObjectReference;
  /** Not together with `fraction`; neither = all requests. */
  readonly percent?: number;
  readonly fraction?: { readonly numerator: number; readonly denominator?: number };
}

/** How a token keeps a client's requests at one endpoint (GEP-1619). */
export interface SessionPersistence {
  readonly sessionName?: string;
  readonly absoluteTimeout?: string;
  readonly idleTimeout?: string;
  /** Default `Cookie`. */
  readonly type?: "Cookie" | "Header";
  readonly cookieConfig?: {
    /** Default `Session`; `Permanent` comes with an `absoluteTimeout`. */
    readonly lifetimeType?: "Permanent" | "Session";
  };
}

/** One comparison of a header field or a query parameter. */
export interface ValueMatch {
  /** Default `Exact`. Regular expressions are RE2 and match the whole value. */
  readonly type?: "Exact" | "RegularExpression";
  readonly name: string;
  readonly value: string;
}

/** The spec that every kind of route has. */
export interface RouteSpec {
  readonly parentRefs?: readonly ParentReference[];
}
