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
import { destinationRuleFor, effectivePolicy } from "./destination-rules.js";
import { addressOf } from "./messages.js";
import { portNamed, type MeshEndpoint, type MeshPort, type MeshService } from "./mesh-service.js";
import type { ClusterName } from "./names.js";
import { ISTIO_METADATA } from "./provenance.js";
import { resolveHost } from "./services.js";
import { subsetLabels } from "./subset-defaults.js";
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

/** The endpoints of a service that may get traffic, by locality, all of one priority. */
export function loadAssignment(
  t: Translation,
  clusterName: string,
  service: MeshService,
  port: MeshPort,
  subset: string,
): ClusterLoadAssignment {
  const rule = destinationRuleFor(t, service);
  const labels = subsetLabels(t, rule, service.host, subset);
  const transport = transportTo(t, service, effectivePolicy(rule, subset, port.number));
  // Weight 0 means no traffic, which Envoy's weights (from 1) cannot say.
  const endpoints = service
    .endpoints(port)
    .filter((endpoint) => endpoint.weight >= 1 && selects(labels, endpoint.labels))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  if (subset !== "" && endpoints.length === 0) {
    t.warn(`subset "${subset}" of ${service.host} has no healthy instance: requests to it fail with 503`);
  }
  const localities = new Map<string, MeshEndpoint[]>();
  const seen = new Set<string>();
  for (const endpoint of endpoints) {
    const { address, port: number } = addressUnder(transport, endpoint);
    const key = `${address}|${number}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const locality = localityKey(endpoint);
    const group = localities.get(locality);
    if (group === undefined) localities.set(locality, [endpoint]);
    else group.push(endpoint);
  }
  return create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: [...localities]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, group]) =>
        create(LocalityLbEndpointsSchema, {
          locality: {
            region: group[0]?.locality?.region ?? "",
            zone: group[0]?.locality?.zone ?? "",
            subZone: group[0]?.locality?.subzone ?? "",
          },
          lbEndpoints: group.map((endpoint) => lbEndpoint(endpoint, transport)),
          loadBalancingWeight: group.reduce((sum, endpoint) => sum + endpoint.weight, 0),
        }),
      ),
  });
}

function lbEndpoint(endpoint: MeshEndpoint, transport: Transport): LbEndpoint {
  const { address, port } = addressUnder(transport, endpoint);
  const takesTls = endpoint.mesh !== undefined && (transport.kind === "auto" || transport.kind === "mesh");
  return create(LbEndpointSchema, {
    hostIdentifier: { case: "endpoint", value: { address: addressOf(address, port) } },
    healthStatus: HealthStatus.HEALTHY,
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

function localityKey({ locality }: MeshEndpoint): string {
  return locality === undefined ? "" : `${locality.region}/${locality.zone}/${locality.subzone}`;
}
