import { create } from "@bufbuild/protobuf";
import type { L4MatchAttributes, MeshObject, TcpRoute, VirtualServiceSpec } from "@tulle/api";
import {
  TcpProxy_WeightedClusterSchema,
  TcpProxySchema,
  type TcpProxy,
} from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { destinationRuleFor, effectivePolicy, type EffectivePolicy } from "../destination-rules.js";
import { durationOfText } from "../duration.js";
import type { MeshPort, MeshService } from "../mesh-service.js";
import { outboundClusterName } from "../names.js";
import type { Translation } from "../translation.js";
import { isForMesh, virtualServiceFor } from "../virtual-services.js";
import { isSource } from "../visibility.js";
import { targetOf } from "./destination.js";

/** Endpoints that a connection is tried on before it is given up: the first and two more, as with HTTP's retries. */
const MAX_CONNECT_ATTEMPTS = 3;

/**
 * Where connections to `port` of a service go: to the destinations of the first `tcp` rule of its VirtualService that
 * can hold for this client, else to the service itself. `listenerPort`: the port that the caller named.
 */
export function tcpRoute(
  t: Translation,
  service: MeshService,
  port: MeshPort,
  listenerPort: number,
): TcpProxy {
  const virtualService = virtualServiceFor(t, service.host);
  if (virtualService !== undefined) warnOfOthers(t, virtualService, service.host, port);
  const rule = virtualService && ruleFor(t, virtualService, listenerPort);
  if (virtualService !== undefined && rule !== undefined) {
    return toDestinations(t, rule, virtualService, listenerPort);
  }
  const cluster = outboundClusterName(service.host, port.number);
  const policy = effectivePolicy(destinationRuleFor(t, service), "", port.number);
  return proxyTo(cluster, { case: "cluster", value: cluster }, policy);
}

function toDestinations(
  t: Translation,
  { rule, index }: FoundRule,
  { metadata }: MeshObject<VirtualServiceSpec>,
  listenerPort: number,
): TcpProxy {
  const targets = rule.route.map(({ destination, weight }) => ({
    ...targetOf(t, destination, metadata.namespace, listenerPort),
    weight: weight ?? 0,
  }));
  const prefix = `${metadata.name}/tcp[${index}]`;
  const [first] = targets;
  const policy = first?.policy ?? {};
  if (targets.length === 1 && first !== undefined) {
    return proxyTo(prefix, { case: "cluster", value: first.cluster }, policy);
  }
  // Destinations of weight 0 get nothing and are left out, so that nothing has to be kept warm for them.
  const clusters = targets
    .filter(({ weight }) => weight > 0)
    .map(({ cluster, weight }) => ({ name: cluster, weight }));
  const weighted = create(TcpProxy_WeightedClusterSchema, { clusters });
  return proxyTo(prefix, { case: "weightedClusters", value: weighted }, policy);
}

function proxyTo(
  statPrefix: string,
  clusterSpecifier: TcpProxy["clusterSpecifier"],
  policy: EffectivePolicy,
): TcpProxy {
  const idle = policy.connectionPool?.tcp?.idleTimeout;
  return create(TcpProxySchema, {
    statPrefix,
    clusterSpecifier,
    maxConnectAttempts: MAX_CONNECT_ATTEMPTS,
    ...(idle !== undefined && { idleTimeout: durationOfText(idle) }),
  });
}

interface FoundRule {
  readonly rule: TcpRoute;
  readonly index: number;
}

function ruleFor(
  t: Translation,
  { spec, metadata }: MeshObject<VirtualServiceSpec>,
  listenerPort: number,
): FoundRule | undefined {
  for (const [index, rule] of (spec.tcp ?? []).entries()) {
    const where = `VirtualService ${metadata.namespace}/${metadata.name} tcp[${index}]`;
    const matches = rule.match ?? [];
    if (matches.length > 0 && !matches.some((match) => canHold(t, match, listenerPort, where))) continue;
    if (rule.route.length > 1 && !rule.route.some(({ weight }) => (weight ?? 0) > 0)) {
      t.warn(`${where}: no destination has a weight; the rule is left out`);
      continue;
    }
    return { rule, index };
  }
  return undefined;
}

/** All conditions of a connection are known before there is one, but for its addresses. */
function canHold(t: Translation, match: L4MatchAttributes, listenerPort: number, where: string): boolean {
  if (match.destinationSubnets !== undefined || match.sourceSubnet !== undefined) {
    t.warn(`${where}: matching by subnet is not supported; the match is left out`);
    return false;
  }
  if (match.port !== undefined && match.port !== listenerPort) return false;
  return isForMesh(match.gateways) && isSource(match, t.view);
}

function warnOfOthers(
  t: Translation,
  { spec, metadata }: MeshObject<VirtualServiceSpec>,
  host: string,
  port: MeshPort,
): void {
  const where = `VirtualService ${metadata.namespace}/${metadata.name}`;
  if (spec.tls !== undefined) t.warn(`${where}: tls rules are not supported and have no effect`);
  if (spec.http !== undefined && spec.tcp === undefined) {
    t.warn(`${where}: http rules have no effect on ${host}:${port.number}, which carries ${port.protocol}`);
  }
}
