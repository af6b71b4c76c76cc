import { create } from "@bufbuild/protobuf";
import {
  Cluster_LbPolicy,
  ClusterSchema,
  type Cluster,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterConfigSchema } from "@tulle/xds/gen/envoy/extensions/clusters/aggregate/v3/cluster_pb.js";
import { defaultPort, portNamed, type MeshService } from "./mesh-service.js";
import { packed } from "./messages.js";
import { failoverClusterName, outboundClusterName, type ClusterName } from "./names.js";
import { resolveHost } from "./services.js";
import { failoverTargets } from "./traffic-policies.js";
import type { Translation } from "./translation.js";

/** Name of the cluster for calls to a service: with others behind it, where any take over for it. */
export function callingCluster(t: Translation, service: MeshService, port: number, subset = ""): string {
  if (failoverTargets(t, service, subset, port).length === 0)
    return outboundClusterName(service.host, port, subset);
  if (t.view.dialect === "tulle") return failoverClusterName(service.host, port, subset);
  t.warn(`${service.host}: proxyless gRPC clients do not fail over to other services`);
  return outboundClusterName(service.host, port, subset);
}

/** The service's own cluster and behind it those of the services that take over, in their order. */
export function failoverCluster(t: Translation, name: string, parsed: ClusterName): Cluster | undefined {
  const { service } = resolveHost(t, parsed.host, t.view.namespace);
  if (service === undefined) return undefined;
  const clusters = [outboundClusterName(service.host, parsed.port, parsed.subset)];
  for (const { host, namespace, subset } of failoverTargets(t, service, parsed.subset, parsed.port)) {
    const other = resolveHost(t, host.toLowerCase(), namespace).service;
    const port = other && (portNamed(other, parsed.port) ?? onlyPort(other));
    if (other === undefined || port === undefined) {
      const what = other === undefined ? "does not exist" : `has no port ${parsed.port}`;
      t.warnOf("IST0101", `failover of ${service.host}: ${host} ${what}; it is left out`);
    } else clusters.push(outboundClusterName(other.host, port.number, subset));
  }
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: {
      case: "clusterType",
      value: { name: "envoy.clusters.aggregate", typedConfig: packed(ClusterConfigSchema, { clusters }) },
    },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
  });
}

function onlyPort(service: MeshService) {
  return service.ports.length === 1 ? defaultPort(service) : undefined;
}
