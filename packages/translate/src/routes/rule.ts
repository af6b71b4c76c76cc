import type { HttpMatchRequest, HttpRedirect, HttpRoute, MeshObject } from "@tulle/api";
import type { ExtAuthz } from "@tulle/xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import type { CallTimes } from "./annotated-calls.js";
import type { SessionRequest } from "./session.js";

/** Conditions on a request: Istio's, and what Gateway API has besides. */
export interface RuleMatch extends HttpMatchRequest {
  /** A prefix of whole path segments, without a slash at its end. Not together with `uri`. */
  readonly pathSegments?: string;
}

/** A redirect: Istio's, and what Gateway API has besides. */
export interface RuleRedirect extends HttpRedirect {
  /** Not together with `uri` or `prefixRewrite`. */
  readonly uriRegexRewrite?: { readonly match: string; readonly rewrite: string };
}

/** A share of a rule's requests that is answered instead of sent on. */
export interface Failing {
  /** Above 0, at most 100. */
  readonly percent: number;
  readonly status: number;
  readonly body: string;
}

/** A rule as routes are made of it, whatever kind of object it came from. */
export interface RouteRule extends Omit<HttpRoute, "match" | "redirect" | "delegate"> {
  /** Any of them; empty or absent: every request. */
  readonly match?: readonly RuleMatch[];
  readonly redirect?: RuleRedirect;
  readonly failing?: Failing;
  /** Of its calls, where `timeout` says nothing of the same. */
  readonly times?: CallTimes;
  /** How clients stay with the instance that they have; absent: as its service says. */
  readonly session?: SessionRequest;
  /** A service that is asked about its requests. */
  readonly externalAuth?: ExtAuthz;
}

/** A rule with the object that it stands in. */
export interface OwnedRule {
  readonly rule: RouteRule;
  readonly object: MeshObject;
  /** Its place in the object: `http[0]`, `rules[0]`. */
  readonly field: string;
}
