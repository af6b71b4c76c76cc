import { create, type JsonObject } from "@bufbuild/protobuf";
import {
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
  Cluster_LbPolicy,
  ClusterSchema,
  type Cluster,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { applyPolicy, spokenVersion } from "./cluster-policy.js";
import {
  destinationRuleFor,
  effectivePolicy,
  warnOfAnnotations,
  type MergedRule,
} from "./destination-rules.js";
import { durationOf } from "./duration.js";
import { loadAssignment } from "./endpoints.js";
import { applyFailureAccrual, failureAccrualFor } from "./failure-accrual.js";
import { keepSessions } from "./load-balancer.js";
import { fromAds } from "./messages.js";
import {
  carriageOf,
  httpVersionOf,
  portNamed,
  type HttpVersion,
  type MeshPort,
  type MeshService,
} from "./mesh-service.js";
import { serverName, spiffeId, type ClusterName } from "./names.js";
import { configPath, ISTIO_METADATA } from "./provenance.js";
import { tellClient } from "./upstream-proxy-protocol.js";
import { applyHealthCheck } from "./health-check-policy.js";
import { healthCheckFor } from "./health-checks.js";
import { resolveHost } from "./services.js";
import { subsetLabels } from "./subset-defaults.js";
import { originatedTls } from "./originated-tls.js";
import { alpnFor, MESH_ALPN, meshTls, rawBuffer } from "./tls.js";
import { withOwnBalancing } from "./traffic-policies.js";
import { transportTo, type Transport } from "./transport.js";
import type { Translation } from "./translation.js";

/** How often names are looked up when their records do not say (Istio's default). */
const DNS_REFRESH_MS = 60_000;

/**
 * The cluster for calls to a port of a service. For a service or port that does not exist it is a cluster without
 * endpoints, so that a route to it fails with 503 instead of waiting.
 */
export function outboundCluster(t: Translation, name: string, parsed: ClusterName): Cluster {
  const { service } = resolveHost(t, parsed.host, t.view.namespace);
  const port = service && portNamed(service, parsed.port);
  if (service === undefined || port === undefined) return emptyCluster(t, name);
  const rule = destinationRuleFor(t, service);
  subsetLabels(t, rule, service.host, parsed.subset);
  const policy = withOwnBalancing(t, effectivePolicy(t, rule, parsed.subset, port.number), service, parsed);
  const cluster = create(ClusterSchema, {
    name,
    metadata: { filterMetadata: metadata(rule, service, parsed) },
  });
  if (policy.tunnel !== undefined && carriageOf(t, port) === "http") {
    t.warn(`${name}: trafficPolicy.tunnel is for tcp and tls routes, and has no effect on HTTP`);
  }
  if (rule !== undefined) warnOfAnnotations(t, rule);
  discover(t, cluster, service, port, parsed);
  applyPolicy(t, cluster, policy, httpVersionOf(port.protocol));
  const accrual = failureAccrualFor(t, rule?.objects ?? [], service);
  if (accrual !== undefined) applyFailureAccrual(t, cluster, accrual);
  keepSessions(t, cluster);
  if (cluster.clusterDiscoveryType.value === Cluster_DiscoveryType.ORIGINAL_DST) {
    cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
    cluster.lbConfig = { case: undefined };
    cluster.loadBalancingPolicy = undefined;
  }
  const check = healthCheckFor(t, service, parsed.subset, port.number);
  if (check !== undefined) applyHealthCheck(cluster, check, httpVersionOf(port.protocol) === "http2");
  const transport = transportTo(t, service, policy);
  if (check?.tcp !== undefined && check.tcp.receive === undefined && transport.kind !== "originated") {
    tellOfSidecars(t, name, transport);
  }
  const version = spokenVersion(policy.connectionPool?.http, httpVersionOf(port.protocol));
  secure(t, cluster, service, port, transport, version);
  if (policy.proxyProtocol !== undefined) {
    tellClient(t, cluster, transport, policy.proxyProtocol.version ?? "V1");
  }
  return cluster;
}

/** A connection over mutual TLS is made with the sidecar, whatever becomes of its application. */
function tellOfSidecars(t: Translation, name: string, { kind }: Transport): void {
  if (kind !== "mesh" && kind !== "auto") return;
  t.warn(
    `${name}: a tcp check of an endpoint with a sidecar connects to the sidecar; use http or grpc, or tcp with receive, to ask the application`,
  );
}

function emptyCluster(t: Translation, name: string): Cluster {
  const cluster = create(ClusterSchema, { name });
  useEds(cluster);
  applyPolicy(t, cluster, {}, "http1");
  return cluster;
}

function useEds(cluster: Cluster): void {
  cluster.clusterDiscoveryType = { case: "type", value: Cluster_DiscoveryType.EDS };
  cluster.edsClusterConfig = create(ClusterSchema, {
    edsClusterConfig: { edsConfig: fromAds() },
  }).edsClusterConfig;
}

function discover(
  t: Translation,
  cluster: Cluster,
  service: MeshService,
  port: MeshPort,
  parsed: ClusterName,
): void {
  switch (service.discovery) {
    case "EDS":
      useEds(cluster);
      return;
    case "STRICT_DNS":
    case "LOGICAL_DNS":
      cluster.clusterDiscoveryType = { case: "type", value: Cluster_DiscoveryType[service.discovery] };
      cluster.dnsLookupFamily = Cluster_DnsLookupFamily.V4_PREFERRED;
      cluster.dnsRefreshRate = durationOf(DNS_REFRESH_MS);
      cluster.respectDnsTtl = true;
      cluster.loadAssignment = loadAssignment(t, cluster.name, service, port, parsed.subset);
      return;
    case "ORIGINAL_DST":
      cluster.clusterDiscoveryType = { case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST };
  }
}

function secure(
  t: Translation,
  cluster: Cluster,
  service: MeshService,
  port: MeshPort,
  transport: Transport,
  version: HttpVersion,
): void {
  const opaque = carriageOf(t, port) === "bytes";
  // Bytes that pass as they are have no protocol to name.
  const meshAlpn = opaque ? [] : MESH_ALPN;
  switch (transport.kind) {
    case "plaintext":
    case "mesh-plaintext":
      return;
    case "originated":
      cluster.transportSocket = originatedTls(t, transport.settings, service, opaque ? [] : alpnFor(version));
      return;
    case "mesh": {
      // An identity that nobody can have: with none known, no peer is trusted.
      const nobody = spiffeId(t.settings.trustDomain, service.namespace, "");
      const identities = transport.identities.length > 0 ? transport.identities : [nobody];
      const name = transport.serverName ?? serverName(service.host, port.number);
      cluster.transportSocket = meshTls(t, { serverName: name, identities, alpn: meshAlpn });
      return;
    }
    case "auto": {
      const socket = meshTls(t, {
        serverName: serverName(service.host, port.number),
        identities: service.identities,
        alpn: meshAlpn,
      });
      cluster.transportSocketMatches = create(ClusterSchema, {
        transportSocketMatches: [
          { name: "tlsMode-istio", match: { tlsMode: "istio" }, transportSocket: socket },
          { name: "tlsMode-disabled", match: {}, transportSocket: rawBuffer() },
        ],
      }).transportSocketMatches;
    }
  }
}

/** Istio's cluster metadata: which service this is, and which DestinationRule shaped it. */
function metadata(
  rule: MergedRule | undefined,
  service: MeshService,
  parsed: ClusterName,
): Record<string, JsonObject> {
  const [owner] = rule?.objects ?? [];
  return {
    [ISTIO_METADATA]: {
      ...(owner !== undefined && { config: configPath(owner) }),
      default_original_port: parsed.port,
      services: [{ host: service.host, name: service.name, namespace: service.namespace }],
      ...(parsed.subset !== "" && { subset: parsed.subset }),
    },
  };
}
