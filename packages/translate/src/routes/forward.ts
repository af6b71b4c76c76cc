import { defaultHttpRetry } from "../mesh-defaults.js";
import { create, equals } from "@bufbuild/protobuf";
import type { HttpRetry, HttpRouteDestination } from "@tulle/api";
import {
  RouteAction_HashPolicySchema,
  RouteAction_RequestMirrorPolicySchema,
  RouteActionSchema,
  WeightedCluster_ClusterWeightSchema,
  WeightedClusterSchema,
  type RouteAction,
  type RouteAction_HashPolicy,
  type RouteAction_RequestMirrorPolicy,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { durationOf, durationOfText } from "../duration.js";
import { regexProblem } from "../regex-syntax.js";
import type { Translation } from "../translation.js";
import { applyTimes } from "./annotated-calls.js";
import { targetOf, type Target } from "./destination.js";
import { hashPolicies } from "./hash-policy.js";
import { headerMutations, hostRewrite } from "./headers.js";
import { retryPolicy } from "./retry.js";
import type { RouteRule } from "./rule.js";
import { keyed, type RuntimeKeys } from "./runtime-keys.js";

/** Where a rule's destinations are to be understood. */
export interface RuleContext {
  /** Namespace of the object that holds the rule. */
  readonly namespace: string;
  /** Port that callers of this route named. */
  readonly listenerPort: number;
  /** For warnings: `VirtualService default/reviews http[0]`. */
  readonly where: string;
  readonly keys: RuntimeKeys;
}

/**
 * Sends everything to one cluster, with the mesh's defaults: no timeout, two safe retries unless `retries`, the mesh's own
 * setting, says otherwise.
 */
export function defaultAction(target: Target, retries: HttpRetry | undefined): RouteAction {
  return create(RouteActionSchema, {
    clusterSpecifier: { case: "cluster", value: target.cluster },
    timeout: durationOf(0),
    retryPolicy: retryPolicy(undefined, retries),
    hashPolicy: hashPolicies(target.policy.loadBalancer),
  });
}

/** Where a rule's destinations are, in their order. */
export function targetsOf(t: Translation, rule: RouteRule, context: RuleContext): Target[] {
  return (rule.route ?? []).map(({ destination }) =>
    targetOf(t, destination, context.namespace, context.listenerPort),
  );
}

/** What a rule does with requests that it sends on. `targets`: those of its destinations. */
export function forwardAction(
  t: Translation,
  rule: RouteRule,
  targets: readonly Target[],
  context: RuleContext,
): RouteAction {
  const destinations = rule.route ?? [];
  const action = create(RouteActionSchema, {
    timeout: durationOf(0),
    retryPolicy: retryPolicy(rule.retries, defaultHttpRetry(t)),
    requestMirrorPolicies: mirrors(t, rule, context),
    hashPolicy: hashPoliciesOf(targets),
  });
  if (rule.times !== undefined) applyTimes(action, rule.times);
  if (rule.timeout !== undefined) action.timeout = durationOfText(rule.timeout);
  const [only] = targets;
  action.clusterSpecifier =
    targets.length === 1 && only !== undefined
      ? { case: "cluster", value: only.cluster }
      : { case: "weightedClusters", value: weightedClusters(destinations, targets) };
  rewrite(t, rule, context, action);
  return action;
}

/** What the destinations hash, each thing once: destinations of one service hash alike. */
function hashPoliciesOf(targets: readonly Target[]): RouteAction_HashPolicy[] {
  const found = targets.flatMap((target) => hashPolicies(target.policy.loadBalancer));
  return found.filter(
    (policy, index) =>
      found.findIndex((other) => equals(RouteAction_HashPolicySchema, other, policy)) === index,
  );
}

/** The headers that a rule with one destination sets: the rule's and its destination's. */
export function ruleHeaders(rule: RouteRule): ReturnType<typeof headerMutations> {
  const own = headerMutations(rule.headers);
  if (rule.route?.length !== 1) return own;
  const destination = headerMutations(rule.route[0]?.headers);
  return {
    requestHeadersToAdd: [...own.requestHeadersToAdd, ...destination.requestHeadersToAdd],
    requestHeadersToRemove: [...own.requestHeadersToRemove, ...destination.requestHeadersToRemove],
    responseHeadersToAdd: [...own.responseHeadersToAdd, ...destination.responseHeadersToAdd],
    responseHeadersToRemove: [...own.responseHeadersToRemove, ...destination.responseHeadersToRemove],
  };
}

/** Whether a rule with several destinations sends requests to any of them. */
export function hasWeight(destinations: readonly HttpRouteDestination[]): boolean {
  return destinations.length === 1 || destinations.some(({ weight }) => (weight ?? 0) > 0);
}

/** Destinations of weight 0 get nothing and are left out, so that nothing has to be kept warm for them. */
function weightedClusters(destinations: readonly HttpRouteDestination[], targets: readonly Target[]) {
  const message = create(WeightedClusterSchema);
  destinations.forEach(({ weight = 0, headers }, index) => {
    const target = targets[index];
    if (weight === 0 || target === undefined) return;
    const host = hostRewrite(headers);
    message.clusters.push(
      create(WeightedCluster_ClusterWeightSchema, {
        name: target.cluster,
        weight,
        ...headerMutations(headers),
        ...(host !== undefined && { hostRewriteSpecifier: { case: "hostRewriteLiteral", value: host } }),
      }),
    );
  });
  return message;
}

function mirrors(t: Translation, rule: RouteRule, context: RuleContext): RouteAction_RequestMirrorPolicy[] {
  const all = [
    ...(rule.mirror === undefined ? [] : [{ destination: rule.mirror, percentage: rule.mirrorPercentage }]),
    ...(rule.mirrors ?? []),
  ];
  return all
    .filter(({ percentage }) => percentage?.value !== 0 || context.keys.mirror !== "")
    .map(({ destination, percentage }) =>
      create(RouteAction_RequestMirrorPolicySchema, {
        cluster: targetOf(t, destination, context.namespace, context.listenerPort).cluster,
        runtimeFraction: keyed(percentage?.value, context.keys.mirror),
        disableShadowHostSuffixAppend: true,
      }),
    );
}

function rewrite(t: Translation, rule: RouteRule, context: RuleContext, action: RouteAction): void {
  const only = rule.route?.length === 1 ? rule.route[0] : undefined;
  const authority = rule.rewrite?.authority ?? hostRewrite(rule.headers) ?? hostRewrite(only?.headers);
  if (authority !== undefined && authority !== "") {
    action.hostRewriteSpecifier = { case: "hostRewriteLiteral", value: authority };
  }
  if (rule.rewrite?.uri !== undefined) action.prefixRewrite = rule.rewrite.uri;
  const regex = rule.rewrite?.uriRegexRewrite;
  if (regex === undefined) return;
  const problem = regexProblem(regex.match);
  if (problem !== undefined) {
    t.warnOf(
      "IST0122",
      `${context.where}: rewrite.uriRegexRewrite.match ${problem}; the path is left as it is`,
    );
    return;
  }
  action.regexRewrite = create(RouteActionSchema, {
    regexRewrite: { pattern: { regex: regex.match }, substitution: regex.rewrite },
  }).regexRewrite;
}
