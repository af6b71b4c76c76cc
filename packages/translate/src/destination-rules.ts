import type {
  ConnectionExtras,
  ConsistentHash,
  DestinationRuleSpec,
  LoadBalancerSettings,
  LoadReports,
  MeshLocalityAwareness,
  MeshObject,
  OutlierDetection,
  OwnLoadBalancer,
  PassiveHealthCheck,
  PortTrafficPolicy,
  Subset,
  TrafficPolicy,
  WaitForEndpoint,
} from "@tulle/api";
import { EXACT_HOST, hostMatch } from "./hosts.js";
import { DESTINATION_RULE } from "./kinds.js";
import { withKumaSettings } from "./kuma/call-settings.js";
import { defaultTrafficPolicy } from "./mesh-defaults.js";
import { consulRule } from "./consul/resolver-rule.js";
import type { MeshEndpoint, MeshService } from "./mesh-service.js";
import type { Translation } from "./translation.js";
import { byAge, isExported, selects } from "./visibility.js";

type DestinationRule = MeshObject<DestinationRuleSpec>;

/** The DestinationRules that hold for a host as one: the settings of the first, the subsets of all. */
export interface MergedRule {
  /** In order of precedence; never empty. */
  readonly objects: readonly DestinationRule[];
  readonly trafficPolicy: TrafficPolicy | undefined;
  readonly subsets: ReadonlyMap<string, RuleSubset>;
  /** The nearest endpoints come first even where no outlierDetection watches them. */
  readonly nearestFirst?: boolean;
  /** What holds for calls to a port where the rule does not say. */
  readonly portDefaults?: (port: number) => Partial<EffectivePolicy>;
}

/** A subset, by its labels and what else selects its instances. */
export interface RuleSubset extends Subset {
  readonly admits?: (endpoint: MeshEndpoint) => boolean;
}

/** What holds for calls to one port of a subset. */
export interface EffectivePolicy extends Omit<PortTrafficPolicy, "loadBalancer" | "outlierDetection"> {
  readonly outlierDetection?: OutlierSettings;
  readonly loadBalancer?: BalancerSettings;
  readonly retryBudget?: TrafficPolicy["retryBudget"];
  readonly proxyProtocol?: TrafficPolicy["proxyProtocol"];
  readonly tunnel?: TrafficPolicy["tunnel"];
  readonly balancing?: OwnBalancing | undefined;
  readonly nearestFirst?: boolean;
}

/** What takes endpoints out for a while: Istio's, or rules that Istio has no words for. */
export interface OutlierSettings extends OutlierDetection {
  /** In the place of Istio's rules. */
  readonly passive?: PassiveHealthCheck;
}

/** Settings of a load balancer: Istio's, and what Kuma has besides. */
export interface BalancerSettings extends LoadBalancerSettings {
  /** What of a request chooses its endpoint, in the place of the key in `consistentHash`. */
  readonly hashes?: readonly HashKey[];
  readonly leastRequest?: { readonly choiceCount?: number; readonly activeRequestBias?: number };
  readonly ring?: { readonly maximumSize?: number; readonly murmur?: boolean };
  readonly zones?: MeshLocalityAwareness;
}

/** One of several things that are hashed. */
export interface HashKey {
  readonly hash: ConsistentHash;
  /** Nothing after it counts once there is a hash. */
  readonly terminal: boolean;
}

/** What Istio's settings of a load balancer have no words for. */
export interface OwnBalancing {
  readonly policy?: OwnLoadBalancer | undefined;
  readonly loadReports?: LoadReports | undefined;
  /** How much more than its part of the load consistent hashing may give to an endpoint, percent; at least 100. */
  readonly hashBalanceFactor?: number | undefined;
  /** A client uses at most so many endpoints. */
  readonly maxEndpoints?: number | undefined;
  /** Header in which a request names its endpoints. */
  readonly overrideHostHeader?: string | undefined;
  readonly connections?: ConnectionExtras | undefined;
  readonly waitForEndpoint?: WaitForEndpoint | undefined;
}

/**
 * The rules for a service as a client sees them: those of the client's namespace, else those of the service's, else
 * those of the root namespace. Within one namespace the best host match counts; rules for the same host are merged,
 * the oldest first. Where there is none, what Consul's entries say holds. What neither says, Kuma's policies may.
 */
export function destinationRuleFor(
  t: Translation,
  service: Pick<MeshService, "host" | "namespace" | "ports" | "portless">,
): MergedRule | undefined {
  return withKumaSettings(t, service, ruleFor(t, service));
}

function ruleFor(t: Translation, service: Pick<MeshService, "host" | "namespace">): MergedRule | undefined {
  const { view, settings } = t;
  const rules = t.objects<DestinationRuleSpec>(DESTINATION_RULE);
  for (const namespace of new Set([view.namespace, service.namespace, settings.rootNamespace])) {
    const found = bestOf(
      rules.filter(
        (rule) =>
          rule.metadata.namespace === namespace &&
          (namespace === view.namespace || isExported(rule.spec.exportTo, namespace, view.namespace)) &&
          isForClient(rule, t),
      ),
      service.host,
      settings.domainSuffix,
    );
    if (found.length === 0) continue;
    for (const rule of found) t.own(rule);
    warnOfResolver(t, service, found[0]);
    return merge(found);
  }
  return consulRule(t, service);
}

/**
 * The settings for one port. A subset's settings replace those of the rule one by one; settings for a port replace all
 * of them, and what they leave out is the mesh's default (Istio's rule).
 */
export function effectivePolicy(
  t: Translation,
  rule: MergedRule | undefined,
  subset: string,
  port: number,
): EffectivePolicy {
  const whole = forPort(rule?.trafficPolicy, {}, port);
  const ruled = subset === "" ? whole : forPort(rule?.subsets.get(subset)?.trafficPolicy, whole, port);
  const near = rule?.nearestFirst === true ? { nearestFirst: true } : {};
  const policy = { ...defaultTrafficPolicy(t), ...rule?.portDefaults?.(port), ...ruled, ...near };
  const balancing = rule && ownBalancing(rule);
  return balancing === undefined ? policy : { ...policy, balancing };
}

const OWN_POLICIES: readonly OwnLoadBalancer[] = ["PEAK_EWMA", "CLIENT_SIDE_WEIGHTED_ROUND_ROBIN"];

function ownPolicy(text: string | undefined): OwnLoadBalancer | undefined {
  return OWN_POLICIES.find((policy) => policy === text);
}

const BALANCER_ANNOTATION = "tulle.dev/load-balancer";
const BALANCE_FACTOR_ANNOTATION = "tulle.dev/hash-balance-factor";

/** What annotations of the rules ask for; what they say that means nothing is left to {@link warnOfAnnotations}. */
function ownBalancing({ objects }: MergedRule): OwnBalancing | undefined {
  const policy = ownPolicy(annotated(objects, BALANCER_ANNOTATION));
  const factor = balanceFactor(annotated(objects, BALANCE_FACTOR_ANNOTATION));
  return policy !== undefined || factor !== undefined ? { policy, hashBalanceFactor: factor } : undefined;
}

/** Warns of annotations of the rules that have a value without meaning. */
export function warnOfAnnotations(t: Translation, { objects }: MergedRule): void {
  const balancer = annotated(objects, BALANCER_ANNOTATION);
  if (balancer !== undefined && ownPolicy(balancer) === undefined)
    t.warn(
      `annotation ${BALANCER_ANNOTATION} must be ${OWN_POLICIES.join(" or ")}; ${JSON.stringify(balancer)} has no effect`,
    );
  const factor = annotated(objects, BALANCE_FACTOR_ANNOTATION);
  if (factor !== undefined && balanceFactor(factor) === undefined)
    t.warn(`annotation ${BALANCE_FACTOR_ANNOTATION} must be a whole number from 100 on; it has no effect`);
}

/** What the first of the rules says that has an annotation. */
export function annotated(objects: readonly DestinationRule[], key: string): string | undefined {
  const bearer = objects.find(({ metadata }) => Object.hasOwn(metadata.annotations ?? {}, key));
  return bearer?.metadata.annotations?.[key];
}

function balanceFactor(text: string | undefined): number | undefined {
  return text !== undefined && /^[1-9]\d{2,5}$/.test(text) ? Number(text) : undefined;
}

function forPort(
  policy: TrafficPolicy | undefined,
  inherited: EffectivePolicy,
  port: number,
): EffectivePolicy {
  if (policy === undefined) return inherited;
  const retryBudget = policy.retryBudget ?? inherited.retryBudget;
  const proxyProtocol = policy.proxyProtocol ?? inherited.proxyProtocol;
  const tunnel = policy.tunnel ?? inherited.tunnel;
  const own = policy.portLevelSettings?.find((settings) => settings.port.number === port) ?? {
    connectionPool: policy.connectionPool ?? inherited.connectionPool,
    loadBalancer: policy.loadBalancer ?? inherited.loadBalancer,
    outlierDetection: policy.outlierDetection ?? inherited.outlierDetection,
    tls: policy.tls ?? inherited.tls,
  };
  return {
    ...(own.connectionPool && { connectionPool: own.connectionPool }),
    ...(own.loadBalancer && { loadBalancer: own.loadBalancer }),
    ...(own.outlierDetection && { outlierDetection: own.outlierDetection }),
    ...(own.tls && { tls: own.tls }),
    ...(retryBudget && { retryBudget }),
    ...(proxyProtocol && { proxyProtocol }),
    ...(tunnel && { tunnel }),
  };
}

/** Subsets and balancing of two kinds of objects have no order among each other. */
function warnOfResolver(
  t: Translation,
  { host }: Pick<MeshService, "host">,
  rule: DestinationRule | undefined,
): void {
  const resolver = consulRule(t, { host })?.objects.find(({ kind }) => kind === "ServiceResolver");
  if (resolver === undefined || rule === undefined) return;
  t.warn(
    `ServiceResolver ${resolver.metadata.namespace}/${resolver.metadata.name}: its subsets and how it balances have no effect: ` +
      `DestinationRule ${rule.metadata.namespace}/${rule.metadata.name} is for the same host`,
  );
}

/** Rules with a workload selector hold for the client's own namespace only. */
function isForClient(rule: DestinationRule, t: Translation): boolean {
  const selector = rule.spec.workloadSelector?.matchLabels;
  if (selector === undefined) return true;
  return rule.metadata.namespace === t.view.namespace && selects(selector, t.view.labels);
}

function bestOf(rules: readonly DestinationRule[], host: string, domain: string): DestinationRule[] {
  let best: DestinationRule[] = [];
  let bestRank = 0;
  for (const rule of rules) {
    const pattern = rule.spec.host.toLowerCase();
    // A rule for a wildcard service names it by the same pattern.
    const score = pattern === host ? EXACT_HOST : hostMatch(pattern, rule.metadata.namespace, host, domain);
    const rank = score === 0 ? 0 : score * 2 + (rule.spec.workloadSelector === undefined ? 0 : 1);
    if (rank === 0 || rank < bestRank) continue;
    if (rank > bestRank) best = [];
    bestRank = rank;
    best.push(rule);
  }
  return best.sort(byAge);
}

function merge(objects: readonly DestinationRule[]): MergedRule {
  const subsets = new Map<string, Subset>();
  for (const { spec } of objects) {
    for (const subset of spec.subsets ?? []) if (!subsets.has(subset.name)) subsets.set(subset.name, subset);
  }
  return {
    objects,
    trafficPolicy: objects.find(({ spec }) => spec.trafficPolicy !== undefined)?.spec.trafficPolicy,
    subsets,
  };
}
