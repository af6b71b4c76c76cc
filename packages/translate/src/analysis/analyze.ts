import {
  byWeight,
  KUMA_GROUP,
  CONSUL_GROUP,
  type AuthorizationPolicySpec,
  type DestinationRuleSpec,
  type Finding,
  type GatewaySpec,
  type GrpcJsonTranscoderSpec,
  type HealthCheckSpec,
  type MeshHTTPRouteSpec,
  type MeshObject,
  type MeshTCPRouteSpec,
  type ProxyDefaultsSpec,
  type HTTPLocalRateLimitPolicySpec,
  type RateLimitSpec,
  type ServiceDefaultsSpec,
  type ServiceEntrySpec,
  type ServiceResolverSpec,
  type ServiceRouterSpec,
  type ServiceSplitterSpec,
  type SidecarSpec,
  type TrafficPolicySpec,
  type VirtualServiceSpec,
} from "@tulle/api";
import type { MeshReader } from "../contract.js";
import { ROUTE_KINDS } from "../gateway-api/route-kinds.js";
import { KUMA_SETTING_KINDS } from "../kuma/kinds.js";
import { Analysis } from "./analysis.js";
import { analyzeAnnotations } from "./analyzers/annotations.js";
import { analyzeTargets } from "./analyzers/authorization.js";
import {
  analyzeDestinationRuleCarriedOut,
  analyzeGatewayCarriedOut,
  analyzeServiceEntryCarriedOut,
  analyzeSidecarCarriedOut,
  analyzeVirtualServiceCarriedOut,
} from "./analyzers/carried-out.js";
import {
  analyzeKumaPolicy,
  analyzeMeshHttpRoute,
  analyzeMeshTcpRoute,
  analyzePolicyCarriedOut,
} from "./analyzers/kuma-policies.js";
import { analyzeConflicts } from "./analyzers/conflicts.js";
import {
  analyzeMergedRules,
  analyzeRuleHost,
  analyzeServerVerification,
} from "./analyzers/destination-rules.js";
import { analyzeChain, analyzeChainCarriedOut, analyzeDefaults } from "./analyzers/discovery-chains.js";
import { analyzeExpressions } from "./analyzers/expressions.js";
import { analyzeRateLimit, analyzeServerTarget, analyzeTarget } from "./analyzers/policies.js";
import { analyzeBoundGateways, analyzeGatewayConflicts, analyzeK8sGateway } from "./analyzers/gateways.js";
import { analyzePortSelectors } from "./analyzers/ports.js";
import { analyzeReachability } from "./analyzers/reachability.js";
import { analyzeReferences } from "./analyzers/references.js";
import { analyzeRoute } from "./analyzers/routes.js";
import { analyzeSelector } from "./analyzers/selectors.js";
import { analyzeTranscoder } from "./analyzers/transcoders.js";
import { analyzeEntryHosts, analyzeEntryPorts, analyzeEntryWorkloads } from "./analyzers/service-entries.js";

/** Looks at one object among all the others. */
type Analyzer<Spec> = (analysis: Analysis, object: MeshObject<Spec>) => void;

/** What is done with the objects of one kind. */
function of<Spec>(group: string, kind: string, ...analyzers: readonly Analyzer<Spec>[]) {
  // Objects that the kind's check accepted: their spec is of its type.
  return { group, kind, analyzers: analyzers as readonly Analyzer<unknown>[] };
}

const NETWORKING = "networking.istio.io";
const SECURITY = "security.istio.io";

const ANALYZERS = [
  of<VirtualServiceSpec>(
    NETWORKING,
    "VirtualService",
    analyzeAnnotations,
    analyzeConflicts,
    analyzeReferences,
    analyzeBoundGateways,
    analyzePortSelectors,
    analyzeReachability,
    analyzeExpressions,
    analyzeVirtualServiceCarriedOut,
  ),
  of<DestinationRuleSpec>(
    NETWORKING,
    "DestinationRule",
    analyzeAnnotations,
    analyzeRuleHost,
    analyzeServerVerification,
    analyzeMergedRules,
    analyzeDestinationRuleCarriedOut,
  ),
  of<ServiceEntrySpec>(
    NETWORKING,
    "ServiceEntry",
    analyzeAnnotations,
    analyzeEntryPorts,
    analyzeEntryWorkloads,
    analyzeEntryHosts,
    analyzeServiceEntryCarriedOut,
  ),
  of(NETWORKING, "WorkloadEntry", analyzeAnnotations),
  of<SidecarSpec>(
    NETWORKING,
    "Sidecar",
    analyzeAnnotations,
    analyzeConflicts,
    analyzeSelector,
    analyzeSidecarCarriedOut,
  ),
  of<GatewaySpec>(
    NETWORKING,
    "Gateway",
    analyzeAnnotations,
    analyzeGatewayConflicts,
    analyzeGatewayCarriedOut,
  ),
  of(SECURITY, "PeerAuthentication", analyzeAnnotations, analyzeConflicts, analyzeSelector),
  of<AuthorizationPolicySpec>(
    SECURITY,
    "AuthorizationPolicy",
    analyzeAnnotations,
    analyzeSelector,
    analyzeTargets,
  ),
  of("tulle.dev", "MeshConfig", analyzeAnnotations, analyzeConflicts),
  of<HealthCheckSpec>("tulle.dev", "HealthCheck", analyzeAnnotations, analyzeConflicts, analyzeTarget),
  of<TrafficPolicySpec>("tulle.dev", "TrafficPolicy", analyzeAnnotations, analyzeConflicts, analyzeTarget),
  of<RateLimitSpec>("tulle.dev", "RateLimit", analyzeAnnotations, analyzeRateLimit, analyzeSelector),
  of("policy.linkerd.io", "Server", analyzeAnnotations),
  of<HTTPLocalRateLimitPolicySpec>(
    "policy.linkerd.io",
    "HTTPLocalRateLimitPolicy",
    analyzeAnnotations,
    analyzeServerTarget,
  ),
  of<GrpcJsonTranscoderSpec>(
    "tulle.dev",
    "GrpcJsonTranscoder",
    analyzeAnnotations,
    analyzeSelector,
    analyzeTargets,
    analyzeTranscoder,
  ),
  of("gateway.networking.k8s.io", "Gateway", analyzeAnnotations, analyzeK8sGateway),
  of("gateway.networking.k8s.io", "ListenerSet", analyzeAnnotations, analyzeK8sGateway),
  of<MeshHTTPRouteSpec>(
    KUMA_GROUP,
    "MeshHTTPRoute",
    analyzeAnnotations,
    analyzeMeshHttpRoute,
    analyzePolicyCarriedOut,
  ),
  of<MeshTCPRouteSpec>(
    KUMA_GROUP,
    "MeshTCPRoute",
    analyzeAnnotations,
    analyzeMeshTcpRoute,
    analyzePolicyCarriedOut,
  ),
  of<ServiceRouterSpec>(
    CONSUL_GROUP,
    "ServiceRouter",
    analyzeAnnotations,
    analyzeChain,
    analyzeChainCarriedOut,
  ),
  of<ServiceSplitterSpec>(
    CONSUL_GROUP,
    "ServiceSplitter",
    analyzeAnnotations,
    analyzeChain,
    analyzeChainCarriedOut,
  ),
  of<ServiceResolverSpec>(
    CONSUL_GROUP,
    "ServiceResolver",
    analyzeAnnotations,
    analyzeChain,
    analyzeChainCarriedOut,
  ),
  of<ServiceDefaultsSpec>(CONSUL_GROUP, "ServiceDefaults", analyzeAnnotations, analyzeDefaults),
  of<ProxyDefaultsSpec>(CONSUL_GROUP, "ProxyDefaults", analyzeAnnotations, analyzeDefaults),
  ...KUMA_SETTING_KINDS.map(({ group, kind }) =>
    of(group, kind, analyzeAnnotations, analyzeKumaPolicy, analyzePolicyCarriedOut),
  ),
  ...ROUTE_KINDS.map(({ group, kind }) => of(group, kind, analyzeAnnotations, analyzeRoute)),
];

/** Analyzers that ask translation, which costs. */
const CARRIED_OUT: readonly Analyzer<never>[] = [
  analyzeVirtualServiceCarriedOut,
  analyzeDestinationRuleCarriedOut,
  analyzeGatewayCarriedOut,
  analyzeServiceEntryCarriedOut,
  analyzePolicyCarriedOut,
  analyzeChainCarriedOut,
];

export interface AnalyzeOptions {
  /** Whether the reader's catalog is the mesh's; false for files alone: nothing is said of services then. */
  readonly live: boolean;
  /** Objects to look at; default all. The others are still what they refer to. */
  readonly subjects?: (object: MeshObject) => boolean;
  /** False: nothing is said of what is not carried out (TUL0001). */
  readonly carriedOut?: boolean;
}

/** Everything that is doubtful or wrong in the configuration, worst first. Pure. */
export function analyze(reader: MeshReader, options: AnalyzeOptions): readonly Finding[] {
  const analysis = new Analysis(reader, options.live);
  for (const { group, kind, analyzers: all } of ANALYZERS) {
    const analyzers =
      options.carriedOut === false
        ? all.filter((analyzer) => !CARRIED_OUT.includes(analyzer as Analyzer<never>))
        : all;
    for (const object of reader.objects(group, kind)) {
      if (options.subjects?.(object) === false) continue;
      for (const analyzer of analyzers) analyzer(analysis, object);
    }
  }
  return analysis.findings.toSorted(byWeight);
}
