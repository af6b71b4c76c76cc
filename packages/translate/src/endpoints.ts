import { create } from "@bufbuild/protobuf";
import { HealthStatus } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import {
  LbEndpointSchema,
  LocalityLbEndpointsSchema,
  type LbEndpoint,
} from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.js";
import {
  ClusterLoadAssignmentSchema,
  type ClusterLoadAssignment,
} from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { destinationRuleFor, effectivePolicy, type EffectivePolicy } from "./destination-rules.js";
import { localityPlan, place } from "./locality/locality-plan.js";
import { overprovisioningOf } from "./locality/zone-order.js";
import { addressOf } from "./messages.js";
import { portNamed, type MeshEndpoint, type MeshPort, type MeshService } from "./mesh-service.js";
import type { ClusterName } from "./names.js";
import { ISTIO_METADATA } from "./provenance.js";
import { resolveHost } from "./services.js";
import { subsetSelector } from "./subset-defaults.js";
import { ALL_OR_NOTHING_OVERPROVISIONING, fallbackLabels } from "./subset-fallback.js";
import { addressUnder, transportTo, type Transport } from "./transport.js";
import type { Translation } from "./translation.js";
import { selects } from "./visibility.js";

/** Metadata that chooses a cluster's transport socket. */
const TRANSPORT_SOCKET_MATCH = "envoy.transport_socket_match";
/** Last part of Istio's workload metadata. */
const CLUSTER_ID = "tulle";

/** Endpoints of an outbound cluster; empty for a service or port that does not exist. */
export function outboundEndpoints(t: Translation, name: string, parsed: ClusterName): ClusterLoadAssignment {
  const { service } = resolveHost(t, parsed.host, t.view.namespace);
  const port = service && portNamed(service, parsed.port);
  if (service === undefined || port === undefined || service.discovery === "ORIGINAL_DST") {
    return create(ClusterLoadAssignmentSchema, { clusterName: name });
  }
  return loadAssignment(t, name, service, port, parsed.subset);
}

/**
 * The endpoints of a service by locality, with priority and weight as the client is to use them. `passed`: those with a
 * sidecar, for bytes that others have secured.
 */
export function loadAssignment(
  t: Translation,
  clusterName: string,
  service: MeshService,
  port: MeshPort,
  subset: string,
  use: "called" | "passed" = "called",
): ClusterLoadAssignment {
  const rule = destinationRuleFor(t, service);
  const isMember = subsetSelector(t, rule, service.host, subset);
  const policy = effectivePolicy(t, rule, subset, port.number);
  const transport: Transport =
    use === "passed" ? { kind: "mesh-plaintext" } : transportTo(t, service, policy);
  const sent = service
    .endpoints(port)
    .filter(({ mesh }) => use === "called" || mesh !== undefined)
    // Weight 0 means no traffic, which Envoy's weights (from 1) cannot say.
    .filter((endpoint) => endpoint.weight >= 1 && isSent(t, endpoint, policy))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const members = distinct(
    sent.filter((endpoint) => isMember(endpoint)),
    transport,
  );
  const plan = localityPlan(t, policy);
  let known = members;
  const groups = [...place(t, plan, members)];
  for (const others of fallbackLabels(t, rule, service.host, subset)) {
    const all = distinct([...known, ...sent.filter(({ labels: own }) => selects(others, own))], transport);
    const below = groups.reduce((most, { priority }) => Math.max(most, priority + 1), 0);
    const next = place(t, plan, all.slice(known.length));
    groups.push(...next.map((group) => ({ ...group, priority: group.priority + below })));
    known = all;
  }
  const standIns = known.slice(members.length);
  warnOfEmptySubset(t, service, subset, members, standIns);
  const byZone = plan.kind === "zones" ? overprovisioningOf(plan.setting) : undefined;
  const overprovisioningFactor = standIns.length > 0 ? ALL_OR_NOTHING_OVERPROVISIONING : byZone;
  return create(ClusterLoadAssignmentSchema, {
    clusterName,
    ...(overprovisioningFactor !== undefined && { policy: { overprovisioningFactor } }),
    endpoints: groups.map((group) =>
      create(LocalityLbEndpointsSchema, {
        locality: {
          region: group.locality?.region ?? "",
          zone: group.locality?.zone ?? "",
          subZone: group.locality?.subzone ?? "",
        },
        priority: group.priority,
        lbEndpoints: group.endpoints.map((endpoint) => lbEndpoint(endpoint, transport)),
        loadBalancingWeight: group.weight,
      }),
    ),
  });
}

function warnOfEmptySubset(
  t: Translation,
  { host }: MeshService,
  subset: string,
  members: readonly MeshEndpoint[],
  standIns: readonly MeshEndpoint[],
): void {
  if (subset === "" || members.some(isHealthy)) return;
  const follows = standIns.some(isHealthy) ? "others take its requests" : "requests to it fail with 503";
  t.warn(`subset "${subset}" of ${host} has no healthy instance: ${follows}`);
}

function isHealthy({ health }: MeshEndpoint): boolean {
  return health === "healthy";
}

/**
 * Whether a client is told of an endpoint: of unhealthy ones only where it may come to use them (`minHealthPercent`), of
 * those that are drained where sessions may be bound to them.
 */
function isSent(
  { view }: Translation,
  { health }: MeshEndpoint,
  { outlierDetection }: EffectivePolicy,
): boolean {
  if (health === "healthy") return true;
  if (view.dialect !== "tulle") return false;
  return health === "draining" || (outlierDetection?.minHealthPercent ?? 0) > 0;
}

/** The first endpoint of each address. */
function distinct(endpoints: readonly MeshEndpoint[], transport: Transport): MeshEndpoint[] {
  const seen = new Set<string>();
  return endpoints.filter((endpoint) => {
    const { address, port } = addressUnder(transport, endpoint);
    const key = `${address}|${port}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

const HEALTH_STATUS: Readonly<Record<MeshEndpoint["health"], HealthStatus>> = {
  healthy: HealthStatus.HEALTHY,
  unhealthy: HealthStatus.UNHEALTHY,
  draining: HealthStatus.DRAINING,
};

function lbEndpoint(endpoint: MeshEndpoint, transport: Transport): LbEndpoint {
  const { address, port } = addressUnder(transport, endpoint);
  const takesTls = endpoint.mesh !== undefined && (transport.kind === "auto" || transport.kind === "mesh");
  return create(LbEndpointSchema, {
    hostIdentifier: { case: "endpoint", value: { address: addressOf(address, port) } },
    healthStatus: HEALTH_STATUS[endpoint.health],
    loadBalancingWeight: endpoint.weight,
    metadata: {
      filterMetadata: {
        ...(takesTls && { [TRANSPORT_SOCKET_MATCH]: { tlsMode: "istio" } }),
        [ISTIO_METADATA]: { workload: workloadOf(endpoint) },
      },
    },
  });
}

/** Istio's `workload;namespace;canonical name;canonical revision;cluster id`, from Istio's labels where they are set. */
function workloadOf({ service, namespace, labels }: MeshEndpoint): string {
  const label = (...keys: string[]): string | undefined =>
    keys
      .map((key) => (Object.hasOwn(labels, key) ? labels[key] : undefined))
      .find((value) => value !== undefined);
  const version = label("version");
  const parts = [
    version === undefined ? service : `${service}-${version}`,
    namespace,
    label("service.istio.io/canonical-name", "app.kubernetes.io/name", "app") ?? service,
    label("service.istio.io/canonical-revision", "app.kubernetes.io/version") ?? version ?? "latest",
    CLUSTER_ID,
  ];
  return parts.map((part) => part.replaceAll(";", "_")).join(";");
}
