import { create } from "@bufbuild/protobuf";
import type { L4MatchAttributes, MeshObject, RouteDestination } from "@tulle/api";
import {
  TcpProxy_WeightedClusterSchema,
  TcpProxySchema,
  type TcpProxy,
} from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { formatAddress } from "@tulle/base";
import type { EffectivePolicy } from "../destination-rules.js";
import { durationOfText } from "../duration.js";
import { NOBODY } from "../names.js";
import type { Translation } from "../translation.js";
import { isForMesh } from "../virtual-services.js";
import { isSource } from "../visibility.js";
import type { MeshService } from "../mesh-service.js";
import { overlap } from "../subnets.js";
import { targetOf } from "./destination.js";
import { hashPolicies } from "./hash-policy.js";

/** Endpoints that a connection is tried on before it is given up: the first and two more, as with HTTP's retries. */
const MAX_CONNECT_ATTEMPTS = 3;

/** A rule for connections, such as a `tcp` or `tls` rule of a VirtualService. */
export interface L4Rule {
  readonly object: MeshObject;
  readonly route: readonly RouteDestination[];
  /** `tcp[0]` */
  readonly field: string;
}

/** Where a rule stands, for messages. */
export function placeOf({ object: { kind, metadata }, field }: L4Rule): string {
  return `${kind} ${metadata.namespace}/${metadata.name} ${field}`;
}

/** A proxy to the destinations of a rule; undefined, with a warning, when none of them would get anything. */
export function proxyByRule(t: Translation, rule: L4Rule, listenerPort: number): TcpProxy | undefined {
  const { metadata } = rule.object;
  if (rule.route.length > 1 && !rule.route.some(({ weight }) => (weight ?? 0) > 0)) {
    t.warn(`${placeOf(rule)}: no destination has a weight; the rule is left out`);
    return undefined;
  }
  const targets = rule.route.map(({ destination, weight }) => ({
    ...targetOf(t, destination, metadata.namespace, listenerPort),
    weight: weight ?? 0,
  }));
  if (!shareTunnel(targets.map(({ policy }) => policy))) {
    t.warn(`${placeOf(rule)}: its destinations must have the same tunnel, or none; the rule is left out`);
    return undefined;
  }
  const prefix = `${metadata.name}/${rule.field}`;
  const [first] = targets;
  const policy = first?.policy ?? {};
  if (targets.length === 1 && first !== undefined) {
    return proxyTo(t, prefix, { case: "cluster", value: first.cluster }, policy);
  }
  // Destinations of weight 0 get nothing and are left out, so that nothing has to be kept warm for them.
  const clusters = targets
    .filter(({ weight }) => weight > 0)
    .map(({ cluster, weight }) => ({ name: cluster, weight }));
  const weighted = create(TcpProxy_WeightedClusterSchema, { clusters });
  return proxyTo(t, prefix, { case: "weightedClusters", value: weighted }, policy);
}

/** Whether connections to all of some destinations go through one tunnel, or all through none. */
export function shareTunnel(policies: readonly EffectivePolicy[]): boolean {
  return new Set(policies.map(({ tunnel }) => JSON.stringify(tunnel))).size < 2;
}

/** A proxy to clusters, with the idle timeout, the source hash and the tunnel of a policy. */
export function proxyTo(
  t: Translation,
  statPrefix: string,
  clusterSpecifier: TcpProxy["clusterSpecifier"],
  policy: EffectivePolicy,
): TcpProxy {
  const { tunnel } = policy;
  if (tunnel?.protocol === "POST") {
    // Without it, what is meant for somebody behind the destination would be said to the destination.
    t.warn(
      `${statPrefix}: trafficPolicy.tunnel with protocol POST is not supported: connections are refused; use CONNECT`,
    );
    return proxyTo(t, statPrefix, { case: "cluster", value: NOBODY }, {});
  }
  const idle = policy.connectionPool?.tcp?.idleTimeout;
  return create(TcpProxySchema, {
    statPrefix,
    clusterSpecifier,
    maxConnectAttempts: MAX_CONNECT_ATTEMPTS,
    // Of a connection there is nothing to hash but where it comes from.
    ...(hashPolicies(policy.loadBalancer).some(
      ({ policySpecifier: { case: input } }) => input === "connectionProperties",
    ) && {
      hashPolicy: [{ policySpecifier: { case: "sourceIp", value: {} } }],
    }),
    ...(tunnel !== undefined && {
      tunnelingConfig: { hostname: formatAddress(tunnel.targetHost, tunnel.targetPort) },
    }),
    ...(idle !== undefined && { idleTimeout: durationOfText(idle) }),
  });
}

/**
 * Whether a match can hold for this client's calls to a service. All its conditions are known before there is a
 * connection: where it goes to are the service's addresses.
 */
export function canHold(
  t: Translation,
  service: Pick<MeshService, "addresses">,
  match: L4MatchAttributes,
  listenerPort: number,
  where: string,
): boolean {
  if (match.sourceSubnet !== undefined) {
    t.warn(`${where}: sourceSubnet is for gateways, a sidecar has one source; the match is left out`);
    return false;
  }
  if (match.destinationSubnets !== undefined && !isWithin(t, service, match.destinationSubnets, where))
    return false;
  if (match.port !== undefined && match.port !== listenerPort) return false;
  return isForMesh(match.gateways) && isSource(match, t.view);
}

/** Whether connections to a service go to one of the subnets. */
function isWithin(
  t: Translation,
  service: Pick<MeshService, "addresses">,
  subnets: readonly string[],
  where: string,
): boolean {
  let unsure: string | undefined;
  for (const address of service.addresses()) {
    for (const subnet of subnets) {
      const found = overlap(address, subnet);
      if (found === "inside") return true;
      if (found === "partly") unsure = `${address} is wider than ${subnet}`;
    }
  }
  if (unsure !== undefined) {
    t.warn(`${where}: ${unsure}: which of its connections are meant cannot be told; the match is left out`);
  }
  return false;
}
