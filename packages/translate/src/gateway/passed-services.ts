import { create } from "@bufbuild/protobuf";
import type { ServiceEntrySpec } from "@tulle/api";
import { ClusterSchema, type Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import type { ClusterLoadAssignment } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { outboundCluster } from "../clusters.js";
import { destinationRuleFor } from "../destination-rules.js";
import { loadAssignment } from "../endpoints.js";
import { fullHost } from "../hosts.js";
import { SERVICE_ENTRY } from "../kinds.js";
import { portNamed, type MeshService } from "../mesh-service.js";
import { outboundClusterName, passedName, type ClusterName } from "../names.js";
import { resolveHost } from "../services.js";
import type { Translation } from "../translation.js";
import { isExported } from "../visibility.js";
import { servedPorts } from "./ports.js";
import { commonHost, placeOfServer, type Server } from "./server.js";

/**
 * Server names that a server of mode AUTO_PASSTHROUGH passes on, which are the names of their clusters, too: those by which
 * sidecars call the ports and subsets of services that are in the mesh and whose host it has.
 */
export function passedNames(t: Translation, server: Server): readonly string[] {
  const names: string[] = [];
  for (const host of hostsOfMesh(t)) {
    const { service } = resolveHost(t, host, t.view.namespace);
    if (service === undefined || !isPassed(server, service)) continue;
    const subsets = ["", ...(destinationRuleFor(t, service)?.subsets.keys() ?? [])];
    for (const { number } of service.ports)
      for (const subset of subsets) names.push(passedName(service.host, number, subset));
  }
  if (names.length === 0)
    t.warn(`${placeOfServer(server)}: no service of the mesh has one of its hosts: connections are closed`);
  return [...new Set(names)].sort();
}

/** The cluster of such a name: bytes go on as they are, so that TLS ends at the callee. Undefined where none is passed. */
export function passedCluster(t: Translation, name: string, parsed: ClusterName): Cluster | undefined {
  if (passedService(t, parsed) === undefined) return undefined;
  const { host, port, subset } = parsed;
  const called = outboundCluster(t, outboundClusterName(host, port, subset), parsed);
  // Everything that looks into what is carried, or begins TLS of its own, is not for bytes of others.
  const { connectTimeout, lbPolicy, lbConfig, loadBalancingPolicy, metadata } = called;
  const { circuitBreakers, outlierDetection, edsClusterConfig, clusterDiscoveryType, commonLbConfig } =
    called;
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType,
    ...(edsClusterConfig !== undefined && { edsClusterConfig }),
    connectTimeout,
    lbPolicy,
    lbConfig,
    loadBalancingPolicy,
    commonLbConfig,
    circuitBreakers,
    outlierDetection,
    metadata,
  });
}

/** Its endpoints: those with a sidecar, at the address that it listens on. */
export function passedEndpoints(
  t: Translation,
  name: string,
  parsed: ClusterName,
): ClusterLoadAssignment | undefined {
  const service = passedService(t, parsed);
  const port = service && portNamed(service, parsed.port);
  return service && port && loadAssignment(t, name, service, port, parsed.subset, "passed");
}

function passedService(t: Translation, { host, port }: ClusterName): MeshService | undefined {
  const servers = servedPorts(t).flatMap(({ servers: all }) => all.filter(({ kind }) => kind === "auto"));
  if (servers.length === 0) return undefined;
  const { service } = resolveHost(t, host, t.view.namespace);
  if (service?.host !== host || portNamed(service, port) === undefined) return undefined;
  return servers.some((server) => isPassed(server, service)) ? service : undefined;
}

/** Only what is in the mesh is passed to: elsewhere nobody would ask who connects. */
function isPassed({ hosts }: Server, { host, namespace, meshed, discovery }: MeshService): boolean {
  if (meshed === "none" || discovery !== "EDS") return false;
  return hosts.some(
    (served) =>
      (served.namespace === undefined || served.namespace === namespace) &&
      commonHost(served.host, host) === host,
  );
}

function hostsOfMesh(t: Translation): readonly string[] {
  const registered = t.registeredServices().map((id) => fullHost(id, t.settings.domainSuffix));
  const entries = t
    .objects<ServiceEntrySpec>(SERVICE_ENTRY)
    .filter(({ spec, metadata }) => isExported(spec.exportTo, metadata.namespace, t.view.namespace))
    .flatMap(({ spec }) => spec.hosts.map((host) => host.toLowerCase()))
    .filter((host) => !host.includes("*"));
  return [...new Set([...registered, ...entries])];
}
