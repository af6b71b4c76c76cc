import type { AppProtocol } from "../app-protocol.js";

/** Services that a mesh of files has, for `tulle explain -f` and `tulle test`: nothing is started for them. */
export interface MeshServicesSpec {
  readonly services: readonly WrittenService[];
}

export interface WrittenService {
  readonly name: string;
  /** Default: the object's. */
  readonly namespace?: string;
  /** The port that callers name; default 80. */
  readonly port?: number;
  /** Default `http`. */
  readonly protocol?: AppProtocol;
  /** Default: the service's name. */
  readonly serviceAccount?: string;
  /** Labels of every instance. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Short for one instance with the label `version` each. */
  readonly versions?: readonly string[];
  /** Default: those of `versions`, else one. */
  readonly instances?: readonly WrittenInstance[];
  /** Whether instances have a sidecar; default true. */
  readonly mesh?: boolean;
}

export interface WrittenInstance {
  readonly version?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Default: one that no other instance has. */
  readonly address?: string;
  /** Default 1. */
  readonly weight?: number;
  /** Default true. Unhealthy ones get no traffic. */
  readonly healthy?: boolean;
  /** `region/zone/subzone` */
  readonly locality?: string;
  readonly mesh?: boolean;
}

/** Unit tests of mesh configuration. */
export interface MeshTestSpec {
  readonly given?: {
    /** Files and directories, relative to this file; default: none. */
    readonly files?: readonly string[];
    readonly services?: readonly WrittenService[];
  };
  readonly cases: readonly MeshTestCase[];
}

export interface MeshTestCase {
  readonly name: string;
  readonly when: MeshTestRequest;
  readonly expect: MeshTestExpectation;
}

export interface MeshTestRequest {
  /** The calling service: `frontend`, `frontend.shop`. */
  readonly from: string;
  /** Default GET. */
  readonly method?: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Decides wherever chance does. Without it only what holds for every request can be expected. */
  readonly requestId?: string;
}

/** What must be so; what is left out may be anything. */
export interface MeshTestExpectation {
  /** What comes of it: `forward`, `reply`, `denied`, `reset`, `no-route`, `unknown-service`, `no-endpoint`. */
  readonly result?: string;
  /** Name of the route. */
  readonly route?: string;
  /** The rule: `http[0]`, `reviews http[0]` or `shop/reviews http[0]`. */
  readonly rule?: string;
  /** All requests go there, whatever their ids. */
  readonly destination?: { readonly host?: string; readonly subset?: string; readonly port?: number };
  /** Subset (else host) to share: `90%` or `9%..11%`. Others must get nothing. */
  readonly split?: Readonly<Record<string, string>>;
  readonly rewrite?: { readonly path?: string; readonly authority?: string };
  readonly requestHeaders?: ExpectedHeaders;
  readonly responseHeaders?: ExpectedHeaders;
  /** Of the whole exchange; `0s` = none. */
  readonly timeout?: string;
  readonly retries?: {
    readonly attempts?: number;
    readonly perTryTimeout?: string;
    /** Failures of this very request that are retried: `503`, `connection refused`. */
    readonly after?: readonly string[];
    /** Those that are not. */
    readonly notAfter?: readonly string[];
  };
  /** Subset (else host) that gets copies, to the share of requests that are copied: `5%`. Others must get none. */
  readonly mirrors?: Readonly<Record<string, string>>;
  /** Injected faults; `share` of requests, exact. */
  readonly fault?: {
    readonly status?: number;
    readonly delay?: string;
    readonly share?: string;
  };
  readonly redirect?: { readonly status?: number; readonly location?: string };
  readonly directResponse?: { readonly status?: number; readonly body?: string };
  /** What the proxy itself answers, for whatever reason. */
  readonly status?: number;
  /** Whether the hop is mutual TLS. */
  readonly mutualTls?: boolean;
  /** Addresses, or versions, of the endpoints that get any of such requests. */
  readonly endpoints?: readonly string[];
  /** Steps that have something to say: part of subject and of reason. */
  readonly considered?: readonly {
    readonly step: string;
    readonly subject?: string;
    readonly reason?: string;
    readonly chosen?: boolean;
  }[];
}

export interface ExpectedHeaders {
  /** Set to this value, in place of what is there. */
  readonly set?: Readonly<Record<string, string>>;
  /** Added to what is there. */
  readonly add?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}
