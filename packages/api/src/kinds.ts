import { parseApiVersion } from "./api-version.js";
import { authorizationPolicyKind } from "./authorization-policy/kind.js";
import { configMapKind } from "./config-map/kind.js";
import { proxyDefaultsKind, serviceDefaultsKind } from "./consul/defaults.js";
import { serviceResolverKind } from "./consul/service-resolver.js";
import { serviceRouterKind } from "./consul/service-router.js";
import { serviceSplitterKind } from "./consul/service-splitter.js";
import { destinationRuleKind } from "./destination-rule/kind.js";
import { eventKind } from "./event/kind.js";
import { gatewayClassKind } from "./gateway-class/kind.js";
import { gatewayKind } from "./gateway/kind.js";
import { grpcJsonTranscoderKind } from "./grpc-json-transcoder/kind.js";
import { grpcRouteKind } from "./grpc-route/kind.js";
import { healthCheckKind } from "./health-check/kind.js";
import { httpLocalRateLimitPolicyKind } from "./http-local-rate-limit-policy/kind.js";
import { httpRouteKind } from "./http-route/kind.js";
import { k8sGatewayKind } from "./k8s-gateway/kind.js";
import type { Kind } from "./kind.js";
import { listenerSetKind } from "./listener-set/kind.js";
import { meshConfigKind } from "./mesh-config/kind.js";
import { meshCircuitBreakerKind } from "./mesh-circuit-breaker/kind.js";
import { meshHttpRouteKind } from "./mesh-http-route/kind.js";
import { meshLoadBalancingStrategyKind } from "./mesh-load-balancing-strategy/kind.js";
import { meshRateLimitKind } from "./mesh-rate-limit/kind.js";
import { meshTcpRouteKind } from "./mesh-tcp-route/kind.js";
import { meshTimeoutKind } from "./mesh-timeout/kind.js";
import { namespaceKind } from "./namespace/kind.js";
import { peerAuthenticationKind } from "./peer-authentication/kind.js";
import { rateLimitKind } from "./rate-limit/kind.js";
import { requestAuthenticationKind } from "./request-authentication/kind.js";
import { referenceGrantKind } from "./reference-grant/kind.js";
import { runtimeKind } from "./runtime/kind.js";
import { secretKind } from "./secret/kind.js";
import { serverKind } from "./server/kind.js";
import { serviceEntryKind } from "./service-entry/kind.js";
import { tcpRouteKind } from "./tcp-route/kind.js";
import { tlsRouteKind } from "./tls-route/kind.js";
import { sidecarKind } from "./sidecar/kind.js";
import { trafficPolicyKind } from "./traffic-policy/kind.js";
import { validatingAdmissionPolicyKind } from "./validating-admission-policy/kind.js";
import { validatingAdmissionPolicyBindingKind } from "./validating-admission-policy-binding/kind.js";
import { virtualServiceKind } from "./virtual-service/kind.js";
import { workloadEntryKind } from "./workload-entry/kind.js";

/** Every kind that users can write. A new kind is a folder and a line here. */
export const KINDS: readonly Kind[] = [
  namespaceKind,
  secretKind,
  configMapKind,
  eventKind,
  virtualServiceKind,
  destinationRuleKind,
  serviceEntryKind,
  workloadEntryKind,
  sidecarKind,
  gatewayKind,
  peerAuthenticationKind,
  requestAuthenticationKind,
  authorizationPolicyKind,
  gatewayClassKind,
  k8sGatewayKind,
  listenerSetKind,
  httpRouteKind,
  grpcRouteKind,
  tcpRouteKind,
  tlsRouteKind,
  referenceGrantKind,
  rateLimitKind,
  serverKind,
  httpLocalRateLimitPolicyKind,
  grpcJsonTranscoderKind,
  healthCheckKind,
  trafficPolicyKind,
  meshConfigKind,
  runtimeKind,
  meshHttpRouteKind,
  meshTcpRouteKind,
  meshLoadBalancingStrategyKind,
  meshRateLimitKind,
  meshTimeoutKind,
  meshCircuitBreakerKind,
  serviceRouterKind,
  serviceSplitterKind,
  serviceResolverKind,
  serviceDefaultsKind,
  proxyDefaultsKind,
  validatingAdmissionPolicyKind,
  validatingAdmissionPolicyBindingKind,
];

/** The kind under a URL's group, version and plural, when it is served at that version. */
export function findKindByPlural(
  group: string,
  version: string,
  plural: string,
  kinds: readonly Kind[] = KINDS,
): Kind | undefined {
  return kinds.find(
    (kind) => kind.group === group && kind.plural === plural && kind.versions.includes(version),
  );
}

/** The kind of that name in a group, whatever the version. */
export function findKind(group: string, name: string, kinds: readonly Kind[] = KINDS): Kind | undefined {
  return kinds.find((kind) => kind.group === group && kind.kind === name);
}

/** The kind of an object as written: its `apiVersion` must be one that the kind is served at. */
export function findKindByApiVersion(
  apiVersion: string,
  name: string,
  kinds: readonly Kind[] = KINDS,
): Kind | undefined {
  const parsed = parseApiVersion(apiVersion);
  if (parsed === undefined) return undefined;
  const kind = findKind(parsed.group, name, kinds);
  return kind?.versions.includes(parsed.version) === true ? kind : undefined;
}

/**
 * The kind that a user names on a command line: plural, singular, kind or short name, in any case, optionally followed
 * by `.group`.
 */
export function resolveKindName(name: string, kinds: readonly Kind[] = KINDS): Kind | undefined {
  const wanted = name.toLowerCase();
  return kinds.find((kind) => {
    const names = [kind.plural, kind.singular, kind.kind.toLowerCase(), ...kind.shortNames];
    return names.some((own) => wanted === own || (kind.group !== "" && wanted === `${own}.${kind.group}`));
  });
}
