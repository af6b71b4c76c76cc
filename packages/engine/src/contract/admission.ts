import type { HeaderList } from "@tulle/http";
import type { Fact, FactNeed } from "../facts/contract.js";
import type { DecisionView } from "./decision.js";
import type { Plan, ReplyPlan } from "./plan.js";
import type { EngineRequest, FoundMetadata, HeaderMutation } from "./request.js";
import type { CallTranslation } from "./translation.js";

/** What only the outside knows of a request, as far as it is known. */
export interface Facts {
  /** With what the steps before have altered. */
  readonly request: EngineRequest;
  /** SPIFFE id of the verified peer, or undefined on plaintext. */
  readonly principal: string | undefined;
  /** `host:port` of the client: one connection has one of its own. */
  readonly remoteAddress?: string | undefined;
  /** The connection that it came by, one object for all of its requests; undefined where nobody knows it. */
  readonly connection?: ConnectionFacts | undefined;
  /** What the step that is asked wanted to know; absent when it has not asked yet. */
  readonly fact?: Fact | undefined;
}

/** What is known of a connection besides who made it. Addresses are without port and brackets. */
export interface ConnectionFacts {
  /** Where it really comes from, whomever a PROXY header names. */
  readonly sourceAddress: string | undefined;
  /** Where it was made to, before it was redirected. */
  readonly destinationAddress: string | undefined;
  readonly destinationPort: number | undefined;
  /** SNI, "" without. */
  readonly serverName: string;
}

/** One step between routing and picking, compiled from an HTTP filter's configuration: fault, rate limit, CORS. */
export interface AdmissionStep {
  /**
   * Pure over its arguments and the load table. `undefined` = nothing against the request. A step that answers with a need
   * is asked again with `facts.fact`, and then decides.
   */
  admit(view: DecisionView, plan: Plan | ReplyPlan, facts: Facts): StepAdmission | undefined;
  /** Clusters of services that it must ask: its chain is not warm before they are known. Absent = none. */
  readonly clusters?: readonly string[];
}

/** What a route says to a filter: a step in place of the chain's, another form of it, or whether it is taken at all. */
export type RouteFilter = AdmissionStep | StepVariant | "enabled" | "disabled";

/** What a route alters of the chain's own step. */
export interface StepVariant {
  /** The step for this route; the same one for the same `own`. */
  variantOf(own: AdmissionStep): AdmissionStep;
}

/** What makes a descriptor of a request (Envoy's `rate_limits`): keys and values that limits have buckets for. */
export interface RateLimitSource {
  readonly stage: number;
  /** Undefined = this request has none. */
  descriptor(
    plan: Plan | ReplyPlan,
    facts: Facts,
  ): readonly (readonly [key: string, value: string])[] | undefined;
}

/** Those of a route and those of its virtual host. */
export interface RateLimitSources {
  readonly route: readonly RateLimitSource[];
  readonly host: readonly RateLimitSource[];
}

/** A limit that a request was beyond. */
export interface Limited {
  /** For metrics. */
  readonly name: string;
  /** Whether it was refused for that. */
  readonly enforced: boolean;
}

/** What an authorization filter found. */
export interface Judgement {
  /** `shadow`: it counts for nothing (a dry run); `audit`: it is only noted. */
  readonly kind: "enforced" | "shadow" | "audit";
  readonly allowed: boolean;
  /** Name of the policy that matched; "" = none did. */
  readonly policy: string;
}

/** By the filter's name in the chain. */
export type RouteFilters = ReadonlyMap<string, RouteFilter>;

/** The proxy answers in place of the service. */
export interface AdmissionReply {
  readonly kind: "reply";
  readonly status: number;
  /** A gRPC caller is told it as the status' message. */
  readonly body: string;
  readonly headers: HeaderList;
  /** Envoy's response flag, e.g. `RL`, `UAEX`, or "". */
  readonly flag: string;
  /** Envoy's RESPONSE_CODE_DETAILS. */
  readonly details: string;
  /** For gRPC callers; undefined = by the HTTP status. */
  readonly grpcStatus?: number | undefined;
  readonly limited?: Limited | undefined;
  readonly judged?: readonly Judgement[] | undefined;
  /** Is told that it was refused. */
  readonly watcher?: ExchangeWatcher | undefined;
  /** Who outside was asked, and what came of it, for logs and records: `ext_authz grpc opa: no answer within 250 ms`. */
  readonly asked?: string | undefined;
}

/** The request waits, and is then asked about again, where `after` comes first. */
export interface AdmissionDelay {
  readonly kind: "delay";
  readonly ms: number;
  readonly flag: string;
  readonly after: StepAdmission | undefined;
}

/** The client's connection (HTTP/2: the stream) is reset instead of an answer. */
export interface AdmissionReset {
  readonly kind: "reset";
  readonly flag: string;
  readonly details: string;
}

/** The request goes on, altered, and its response too. */
export interface AdmissionMutation {
  readonly kind: "mutate";
  readonly request?: readonly HeaderMutation[] | undefined;
  readonly response?: readonly HeaderMutation[] | undefined;
  /** The path with its query, in place of the request's. */
  readonly path?: string | undefined;
  /** In place of the request's. */
  readonly method?: string | undefined;
  /** The request's body and its answer are translated, from the last step on. */
  readonly translation?: CallTranslation | undefined;
  /** How fast the response's body goes to the client at most; undefined = as it comes. */
  readonly responseBytesPerSecond?: number | undefined;
  /** The client's connection is reset after so many bytes of the response's body; undefined = it is not. */
  readonly resetAfterBytes?: number | undefined;
  readonly limited?: Limited | undefined;
  readonly judged?: readonly Judgement[] | undefined;
  /** Is told when the exchange begins and ends. */
  readonly watcher?: ExchangeWatcher | undefined;
  /** What the step found out, for the steps behind it and for routes. */
  readonly metadata?: FoundMetadata | undefined;
  /** A route is chosen anew by what the request is now; the steps behind this one are that route's. */
  readonly reroute?: boolean | undefined;
}

/** The step must know something from outside, and is then asked again. */
export interface AdmissionNeed {
  readonly kind: "need";
  readonly need: FactNeed;
}

/** A route must be chosen anew for the request as it is now (`AdmissionProgress.request`). */
export interface AdmissionReroute {
  readonly kind: "reroute";
}

/** How an exchange went that was let through. */
export interface EndedExchange {
  /** Since it was let through. */
  readonly durationMs: number;
  /** HTTP status; 0 = the caller left before there was one. */
  readonly status: number;
  readonly grpc: boolean;
  /** Of a gRPC call; -1 when it ended without. */
  readonly grpcStatus: number;
  /** The caller left before it was over. */
  readonly cut: boolean;
}

/** Somebody who learns from exchanges. All times are `DecisionView.now`. */
export interface ExchangeWatcher {
  /** The exchange was let through by every step. */
  onBegin(now: number): void;
  /** Once after every `onBegin`. The object is only lent. */
  onEnd(now: number, ended: EndedExchange): void;
  /** The exchange was refused by the watcher's own step. */
  onRefused(): void;
}

/** What one step says. */
export type StepAdmission =
  | AdmissionReply
  | AdmissionDelay
  | AdmissionReset
  | AdmissionMutation
  | AdmissionNeed;

/** What the steps before the cluster say to a request, all together. What they alter is in the `AdmissionProgress`. */
export type Admission =
  | { readonly kind: "continue" }
  | AdmissionReply
  | AdmissionDelay
  | AdmissionReset
  | AdmissionNeed
  | AdmissionReroute;
