import type { TcpProxy } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { MeshObject, VirtualServiceSpec } from "@tulle/api";
import { destinationRuleFor, effectivePolicy } from "../destination-rules.js";
import { chainDestination } from "../consul/chain-routes.js";
import { serviceTcpRoute } from "../gateway-api/l4-routes.js";
import { warnOfOverruled } from "../gateway-api/overruled.js";
import type { Frontend } from "../gateway-api/parents.js";
import { TCP_ROUTE } from "../kinds.js";
import { callingCluster } from "../failover.js";
import { MESH_HTTP_ROUTE, MESH_TCP_ROUTE } from "../kuma/kinds.js";
import { warnOfOverruledPolicies } from "../kuma/overruled.js";
import { meshTcpRoute } from "../kuma/tcp-route.js";
import { carriageOf, type MeshService } from "../mesh-service.js";
import { nameOf } from "../provenance.js";
import type { Translation } from "../translation.js";
import { virtualServiceFor } from "../virtual-services.js";
import { targetOf } from "./destination.js";
import { canHold, placeOf, proxyByRule, proxyTo } from "./l4-rule.js";

/**
 * Where connections to a port of a service go: to the destinations of the first `tcp` rule of its VirtualService that
 * can hold for this client, else to those of its TCPRoute, else where Consul's entries lead, else to those of its
 * MeshTCPRoute, else to the service itself.
 */
export function tcpRoute(t: Translation, frontend: Frontend): TcpProxy {
  const { service, port, listenerPort } = frontend;
  if (carriageOf(t, port) === "bytes") {
    warnOfOverruledPolicies(t, MESH_HTTP_ROUTE, frontend, "the port does not carry HTTP");
  }
  const virtualService = virtualServiceFor(t, service.host);
  const byRule = virtualService && firstRule(t, service, virtualService, listenerPort);
  if (virtualService !== undefined && byRule !== undefined) {
    warnOfOverruled(t, virtualService, frontend, [TCP_ROUTE]);
    warnOfOverruledPolicies(t, MESH_TCP_ROUTE, frontend, `${nameOf(virtualService)} rules the same host`);
    return byRule;
  }
  const byRoute = serviceTcpRoute(t, frontend);
  if (byRoute !== undefined) return byRoute;
  const led = chainDestination(t, service.host);
  if (led !== undefined) {
    warnOfOverruledPolicies(t, MESH_TCP_ROUTE, frontend, "a ServiceResolver leads calls to the same host");
    const target = targetOf(t, led, service.namespace, listenerPort);
    return proxyTo(t, target.cluster, { case: "cluster", value: target.cluster }, target.policy);
  }
  const byPolicy = meshTcpRoute(t, frontend);
  if (byPolicy !== undefined) return byPolicy;
  const cluster = callingCluster(t, service, port.number);
  const policy = effectivePolicy(t, destinationRuleFor(t, service), "", port.number);
  return proxyTo(t, cluster, { case: "cluster", value: cluster }, policy);
}

/** The addresses of a host that no service has. */
const NOWHERE = { addresses: (): readonly string[] => [] };

/** Where connections to a host go that exists by its `tcp` rules alone; undefined when none can hold for this client. */
export function routedTcp(
  t: Translation,
  object: MeshObject<VirtualServiceSpec>,
  listenerPort: number,
): TcpProxy | undefined {
  return firstRule(t, NOWHERE, object, listenerPort);
}

function firstRule(
  t: Translation,
  service: Pick<MeshService, "addresses">,
  object: MeshObject<VirtualServiceSpec>,
  listenerPort: number,
): TcpProxy | undefined {
  for (const [index, { match = [], route }] of (object.spec.tcp ?? []).entries()) {
    const rule = { object, route, field: `tcp[${index}]` };
    if (match.length > 0 && !match.some((each) => canHold(t, service, each, listenerPort, placeOf(rule))))
      continue;
    const proxy = proxyByRule(t, rule, listenerPort);
    if (proxy !== undefined) return proxy;
  }
  return undefined;
}
