import type { EngineRequest, HeaderMutation } from "../contract.js";
import type { FactKind } from "../facts/contract.js";
import type { WorkloadLabels } from "../snapshot/contract.js";
import type { TraceStep, TraceVerdict } from "../trace.js";

/** Version of {@link Explanation}'s form. Fields may be added to it; none changes its meaning or goes. */
export const EXPLANATION_VERSION = 1;

/** What is asked: what becomes of this request here. */
export interface Question {
  /** Canonical, as `requestFrom` makes it. `x-request-id` among its headers decides as it does for live traffic. */
  readonly request: EngineRequest;
  readonly direction: "outbound" | "inbound";
  /** Overrides `x-request-id`. */
  readonly requestId?: string | undefined;
  /** Inbound: SPIFFE id of the verified caller; undefined = it comes in plaintext. */
  readonly principal?: string | undefined;
  /** Inbound: `host:port` of the caller, and where its connection was made to, where somebody knows. */
  readonly remoteAddress?: string | undefined;
  readonly localAddress?: string | undefined;
  /** Inbound: the server name that the caller's sidecar asks for, which tells port and service. */
  readonly serverName?: string | undefined;
  /** At a gateway: the port that it comes to; default: by the URL. */
  readonly port?: number | undefined;
  /** Where an object or one of its rules is written, `reviews.yaml:14`, where somebody knows. */
  readonly locate?: ((owner: Owner) => string | undefined) | undefined;
}

/** The object, and the rule of it, that something comes from. */
export interface Owner {
  /** `networking.istio.io/v1` */
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** `http[0]`, or "" for all of the object. */
  readonly rule: string;
  /** `reviews.yaml:14`, where it is known. */
  readonly source?: string;
}

/** One thing that was considered, and what became of it. */
export interface ExplainedEvent {
  readonly subject: string;
  readonly verdict: TraceVerdict;
  readonly reason: string;
  readonly owner?: Owner;
  readonly facts?: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}

/** What was considered at one step, in order. */
export interface ExplainedStep {
  readonly step: TraceStep;
  readonly events: readonly ExplainedEvent[];
}

/**
 * What comes of the request:
 * `forward`: it goes to an endpoint; `reply`: the route answers; `denied`: a filter answers; `reset`: a filter cuts it;
 * `no-route`: no rule takes it; `unknown-service`: nothing has that name; `not-ready`: not known here yet;
 * `no-endpoint`: nobody can take it; `bytes`: the port carries bytes, no requests.
 */
export type ResultKind =
  | "forward"
  | "reply"
  | "denied"
  | "reset"
  | "no-route"
  | "unknown-service"
  | "not-ready"
  | "no-endpoint"
  | "bytes";

export interface ExplainedResult {
  readonly kind: ResultKind;
  /** What the proxy answers; absent where somebody else does. */
  readonly status?: number;
  /** Envoy's response flag; "" for none. */
  readonly flag: string;
  /** Body and headers (`name: value`) of an answer of the proxy's own. */
  readonly body?: string;
  readonly headers?: readonly string[];
}

/** Something that a filter asks somebody outside. Explaining asks nobody. */
export interface ExplainedNeed {
  readonly kind: FactKind;
  /** Who is asked, in words. */
  readonly asks: string;
  /** Whether the answer is taken to be in the request's favour; otherwise it is known here. */
  readonly assumed: boolean;
}

/** What the chain's filters do to a request that they let through, or before they answer it. */
export interface ExplainedAdmission {
  /** How long it waits first, milliseconds. */
  readonly delayMs: number;
  /** Absent = none. */
  readonly needs?: readonly ExplainedNeed[];
  readonly requestHeaders: readonly HeaderMutation[];
  readonly responseHeaders: readonly HeaderMutation[];
  /** 0 = as it comes. */
  readonly responseBytesPerSecond: number;
  /** -1 = never. */
  readonly resetAfterBytes: number;
}

/** A cluster that the route may choose, and how likely it does. */
export interface ExplainedShare {
  readonly cluster: string;
  readonly host: string;
  readonly port: number;
  readonly subset: string;
  readonly weight: number;
  /** Exact, from the weights: 0 to 1. */
  readonly probability: number;
  readonly chosen: boolean;
  /** What chose: the request id, a key of the request that all of its kind have, or its session. */
  readonly by: "chance" | "key" | "session";
}

/** Where copies of the request go. Nobody waits for the answers. */
export interface ExplainedMirror {
  readonly cluster: string;
  readonly host: string;
  readonly port: number;
  readonly subset: string;
  readonly probability: number;
  /** Whether this request is copied. */
  readonly chosen: boolean;
}

export interface ExplainedCluster {
  readonly name: string;
  /** Host of the service in full; "" when the name does not tell. */
  readonly host: string;
  readonly port: number;
  /** "" = all of the service. */
  readonly subset: string;
  /** Whether the control plane has told its endpoints. */
  readonly known: boolean;
  readonly owner?: Owner;
  readonly connectTimeoutMs: number;
  /** Circuit breakers and what counts against them at present. */
  readonly inFlight: number;
  readonly maxRequests: number;
  readonly connections: number;
  readonly maxConnections: number;
  readonly pending: number;
  readonly maxPendingRequests: number;
  readonly retriesInFlight: number;
  readonly maxRetries: number;
}

export interface ExplainedEndpoint {
  /** `10.0.0.7:15006` */
  readonly address: string;
  /** By the control plane's word and by what was found here: `healthy`, `unhealthy`, `ejected`, `failing checks`, `degraded`. */
  readonly health: readonly string[];
  /** Why, when and how long it is ejected; absent when it is not. */
  readonly ejection?: {
    /** `consecutive_5xx` and the like, as Envoy's statistics name them. */
    readonly reason: string;
    /** Milliseconds since the epoch. */
    readonly atMs: number;
    readonly untilMs: number;
    /** Of this endpoint so far. */
    readonly ejections: number;
  };
  readonly weight: number;
  readonly inFlight: number;
  readonly mutualTls: boolean;
  /** The proxy speaks TLS with it as with any server outside the mesh (DestinationRule modes SIMPLE and MUTUAL). */
  readonly originatedTls?: true;
  readonly workload?: WorkloadLabels;
  /** Of requests like this one with other ids, at this moment: 0 to 1. */
  readonly share: number;
  readonly chosen: boolean;
}

/** What becomes of one kind of failure of a try. */
export interface ExplainedRetry {
  /** `connection refused`, `reset after the request was sent`, `503`, … */
  readonly outcome: string;
  readonly retried: boolean;
  /** Why, where the engine says so. */
  readonly reason?: string;
}

export interface ExplainedRetryPlan {
  /** Beside the first try. */
  readonly attempts: number;
  /** 0 = the route's own timeout bounds each try. */
  readonly perTryTimeoutMs: number;
  /** Envoy's words: `5xx`, `connect-failure`. */
  readonly on: readonly string[];
  readonly statusCodes: readonly number[];
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** For this very request: by its method, and by what the plan names. */
  readonly outcomes: readonly ExplainedRetry[];
}

/** What a route asks of a request on its way. */
export interface ExplainedRoute {
  readonly name: string;
  readonly owner?: Owner;
  /** Whole exchange, milliseconds; 0 = none. */
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Absent = no retries. */
  readonly retry?: ExplainedRetryPlan;
  readonly requestHeaders: readonly HeaderMutation[];
  readonly responseHeaders: readonly HeaderMutation[];
}

/** A request's way through one proxy. Plain JSON, in version {@link EXPLANATION_VERSION}. */
export interface Explanation {
  readonly version: typeof EXPLANATION_VERSION;
  readonly direction: "outbound" | "inbound";
  /** It is a gateway's, to which requests come from outside; absent: a sidecar's. */
  readonly gateway?: true;
  readonly request: {
    readonly method: string;
    readonly scheme: "http" | "https";
    readonly authority: string;
    /** As it is matched: brought into one form. */
    readonly path: string;
    /** `name: value`. */
    readonly headers: readonly string[];
    /** Absent: chance is shown as shares, and the likeliest way is followed. */
    readonly requestId?: string;
    readonly principal?: string;
  };
  /** Which state of the configuration it was, counted by the proxy. */
  readonly configuration: number;
  readonly result: ExplainedResult;
  readonly route?: ExplainedRoute;
  /** Absent where filters do nothing. */
  readonly admission?: ExplainedAdmission;
  /** Where a route has several clusters. */
  readonly split: readonly ExplainedShare[];
  readonly cluster?: ExplainedCluster;
  readonly mirrors: readonly ExplainedMirror[];
  /** At most 200; the chosen one is among them. */
  readonly endpoints: readonly ExplainedEndpoint[];
  /** Endpoints that the cluster has, listed or not. */
  readonly endpointCount: number;
  /** What goes to the endpoint. */
  readonly upstream?: {
    readonly authority: string;
    readonly path: string;
    /** `host:port` that the endpoint, a proxy, is asked for by CONNECT; absent: it is who is meant. */
    readonly tunnel?: string;
    /** The server name of the hop, and who must answer it; absent in plaintext. */
    readonly tls?: {
      readonly serverName: string;
      readonly spiffeIds: readonly string[];
      /** With a server outside the mesh: how it is verified; absent between sidecars. */
      readonly originated?: {
        /** One of them must be in its certificate; empty = any certificate is taken. */
        readonly names: readonly string[];
        /** Whether the proxy shows a certificate. */
        readonly clientCertificate: boolean;
      };
    };
  };
  /** What was considered, step by step. */
  readonly steps: readonly ExplainedStep[];
  /** What the destination's own sidecar does with it, where somebody has asked that, too. */
  readonly next?: Explanation;
}
