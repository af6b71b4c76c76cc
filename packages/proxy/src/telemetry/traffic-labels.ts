import type { ClusterPart, EndpointPart, WorkloadLabels } from "@tulle/engine";

/** The workload that this proxy serves. */
export interface OwnWorkload extends WorkloadLabels {
  /** SPIFFE id; "" before the first certificate. */
  principal(): string;
}

/** What labels say of a cluster. */
export type LabelledCluster = Pick<ClusterPart, "name" | "serviceHost" | "originalDestination">;

/** Stands for what the policy for unknown hosts blocks (Istio's name). */
export const BLACK_HOLE: LabelledCluster = {
  name: "BlackHoleCluster",
  serviceHost: "",
  originalDestination: true,
};

/** What was carried, as far as labels need it: an exchange or a TCP session. */
export interface LabelledTraffic {
  readonly source: { readonly direction: "inbound" | "outbound"; readonly peerSpiffeId: string };
  readonly cluster: LabelledCluster | undefined;
  readonly endpoint: EndpointPart | undefined;
  /** Other side: the endpoint's workload (outbound) or the client's (inbound). */
  readonly peer: WorkloadLabels | undefined;
}

const UNKNOWN: WorkloadLabels = {
  workload: "unknown",
  namespace: "unknown",
  canonicalName: "unknown",
  canonicalRevision: "latest",
};

/** The labels that Istio's HTTP and TCP metrics have in common: who, to whom. `cluster`: default that of `traffic`. */
export function trafficLabels(
  traffic: LabelledTraffic,
  own: OwnWorkload,
  cluster: LabelledCluster | undefined = traffic.cluster,
): string[] {
  const outbound = traffic.source.direction === "outbound";
  const peer = traffic.peer ?? UNKNOWN;
  const source = outbound ? own : peer;
  const destination = outbound ? peer : own;
  const service = cluster?.serviceHost ?? "";
  // Whoever is not a service is named by its cluster alone: names that clients make up would be series without end.
  const unnamed = cluster?.originalDestination === true ? cluster.name : "unknown";
  const [name, namespace] = service === "" ? [unnamed, "unknown"] : serviceName(service);
  const principals = principalsOf(traffic, own);
  return [
    "reporter",
    outbound ? "source" : "destination",
    "source_workload",
    source.workload,
    "source_canonical_service",
    source.canonicalName,
    "source_canonical_revision",
    source.canonicalRevision,
    "source_workload_namespace",
    source.namespace,
    "source_principal",
    principals.source,
    "source_app",
    source.canonicalName,
    "source_version",
    source.canonicalRevision,
    "source_cluster",
    "Kubernetes",
    "destination_workload",
    destination.workload,
    "destination_workload_namespace",
    destination.namespace,
    "destination_principal",
    principals.destination,
    "destination_app",
    destination.canonicalName,
    "destination_version",
    destination.canonicalRevision,
    "destination_service",
    service === "" ? "unknown" : service,
    "destination_canonical_service",
    destination.canonicalName,
    "destination_canonical_revision",
    destination.canonicalRevision,
    "destination_service_name",
    name,
    "destination_service_namespace",
    namespace,
    "destination_cluster",
    "Kubernetes",
  ];
}

/** Istio's `connection_security_policy`: only the side that was called knows. */
export function securityPolicy({ source }: Pick<LabelledTraffic, "source">): string {
  if (source.direction === "outbound") return "unknown";
  return source.peerSpiffeId === "" ? "none" : "mutual_tls";
}

function principalsOf(
  { source, endpoint }: LabelledTraffic,
  own: OwnWorkload,
): { source: string; destination: string } {
  const principal = own.principal() === "" ? "unknown" : own.principal();
  if (source.direction === "inbound") {
    if (source.peerSpiffeId === "") return { source: "unknown", destination: "unknown" };
    return { source: source.peerSpiffeId, destination: principal };
  }
  const tls = endpoint?.tls;
  if (tls?.kind !== "mesh") return { source: "unknown", destination: "unknown" };
  const [only] = tls.spiffeIds;
  return {
    source: principal,
    destination: tls.spiffeIds.size === 1 && only !== undefined ? only : "unknown",
  };
}

/** Service name and namespace of `reviews.default.svc.cluster.local`; any other host is its own name. */
function serviceName(host: string): [name: string, namespace: string] {
  const parts = host.split(".");
  return parts[2] === "svc" ? [parts[0] ?? host, parts[1] ?? "unknown"] : [host, "unknown"];
}
