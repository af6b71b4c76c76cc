import {
  declaredProtocol,
  protocolOfPortName,
  type AppProtocol,
  type MeshObject,
  type ServiceEntryPort,
  type ServiceEntrySpec,
  type WorkloadEntrySpec,
} from "@tulle/api";
import { WORKLOAD_ENTRY } from "./kinds.js";
import type { Discovery, MeshEndpoint, MeshPort, MeshService } from "./mesh-service.js";
import { localityOfLabels, parseLocality } from "./locality/locality.js";
import { sessionOfLabels } from "./routes/session.js";
import { spiffeIds } from "./names.js";
import type { Translation } from "./translation.js";
import { selects } from "./visibility.js";

/** Label that says that a workload takes mutual TLS at its address (Istio's). */
const TLS_MODE_LABEL = "security.istio.io/tlsMode";

/** Resolutions that look hosts up in DNS. */
const BY_NAME: readonly string[] = ["DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"];

type ServiceEntry = MeshObject<ServiceEntrySpec>;

/** One host of a ServiceEntry as translation sees it. */
export function entryService(t: Translation, entry: ServiceEntry, host: string): MeshService {
  t.own(entry);
  const { spec, metadata } = entry;
  const workloads = workloadsOf(t, entry, host);
  const meshed = workloads.filter(({ spec: workload }) => isMeshed(workload)).length;
  const identities = new Set(spec.subjectAltNames);
  for (const { spec: workload } of workloads) {
    // Who names no account is not in the mesh, unless its label says so.
    const account = workload.serviceAccount ?? (isMeshed(workload) ? "default" : undefined);
    if (account !== undefined) {
      for (const id of spiffeIds(t.settings, metadata.namespace, account)) identities.add(id);
    }
  }
  return {
    host,
    name: metadata.name,
    namespace: metadata.namespace,
    ports: (spec.ports ?? []).map(meshPort),
    portless: false,
    discovery: discoveryOf(entry, host),
    identities: [...identities].sort(),
    subjectAltNames: spec.subjectAltNames,
    session: sessionOfLabels({ ...metadata.labels, ...metadata.annotations }),
    annotations: metadata.annotations,
    meshed: meshed === 0 ? "none" : meshed === workloads.length ? "all" : "some",
    addresses: () => {
      if (spec.addresses !== undefined && spec.addresses.length > 0) return spec.addresses;
      const ip = t.virtualIp(host);
      return ip === undefined ? [] : [ip];
    },
    endpoints: (port) => {
      const declared = spec.ports?.find((candidate) => candidate.number === port.number);
      return declared === undefined ? [] : workloads.map((workload) => endpointOf(entry, workload, declared));
    },
  };
}

interface Workload {
  readonly id: string;
  readonly spec: WorkloadEntrySpec;
}

/** The entry's own endpoints, or the WorkloadEntries that it selects, or (for names) the host itself. */
function workloadsOf(t: Translation, entry: ServiceEntry, host: string): readonly Workload[] {
  const { spec, metadata } = entry;
  if (spec.workloadSelector !== undefined) {
    const labels = spec.workloadSelector.labels;
    const selected: Workload[] = [];
    for (const workload of t.objects<WorkloadEntrySpec>(WORKLOAD_ENTRY)) {
      if (workload.metadata.namespace !== metadata.namespace) continue;
      if (!selects(labels, workload.spec.labels ?? {})) continue;
      t.own(workload);
      selected.push({ id: workload.metadata.name, spec: workload.spec });
    }
    return selected.filter(hasAddress);
  }
  const listed = (spec.endpoints ?? []).map((endpoint, index) => ({
    id: String(index).padStart(6, "0"),
    spec: endpoint,
  }));
  if (listed.length > 0) return listed.filter(hasAddress);
  const byName = BY_NAME.includes(spec.resolution ?? "NONE");
  return byName && !host.includes("*") ? [{ id: host, spec: { address: host } }] : [];
}

function hasAddress({ spec }: Workload): boolean {
  return spec.address !== undefined && spec.address !== "";
}

function discoveryOf(entry: ServiceEntry, host: string): Discovery {
  switch (entry.spec.resolution ?? "NONE") {
    case "STATIC":
      return "EDS";
    case "DNS":
      return "STRICT_DNS";
    case "DNS_ROUND_ROBIN":
      return "LOGICAL_DNS";
    case "DYNAMIC_DNS":
      // Nothing is looked up for the wildcard itself: clients ask for the hosts that they call.
      return host.includes("*") ? "EDS" : "STRICT_DNS";
    case "NONE":
      return "ORIGINAL_DST";
  }
}

function isMeshed(workload: WorkloadEntrySpec): boolean {
  return workload.labels?.[TLS_MODE_LABEL] === "istio";
}

function endpointOf(entry: ServiceEntry, { id, spec }: Workload, port: ServiceEntryPort): MeshEndpoint {
  const written = spec.address ?? "";
  const socket = /^unix:\/\/(\/.+)$/.exec(written)?.[1];
  const address = socket ?? written;
  const number = socket === undefined ? (ownPort(spec, port.name) ?? port.targetPort ?? port.number) : 0;
  return {
    id,
    address,
    port: number,
    mesh: isMeshed(spec) ? { address, port: number } : undefined,
    labels: spec.labels ?? {},
    weight: spec.weight ?? 1,
    health: "healthy",
    locality: parseLocality(spec.locality) ?? localityOfLabels(spec.labels ?? {}),
    service: entry.metadata.name,
    namespace: entry.metadata.namespace,
  };
}

/** Port names are the user's: only own properties count. */
function ownPort({ ports }: WorkloadEntrySpec, name: string): number | undefined {
  return ports !== undefined && Object.hasOwn(ports, name) ? ports[name] : undefined;
}

function meshPort(port: ServiceEntryPort): MeshPort {
  return { number: port.number, name: port.name, protocol: protocolOf(port) };
}

/** What the port declares, by its protocol or else by its name. UDP goes nowhere, like any protocol that is not known. */
function protocolOf({ protocol, name }: ServiceEntryPort): AppProtocol {
  if (protocol !== undefined) return declaredProtocol(protocol) ?? "tcp";
  return protocolOfPortName(name) ?? "auto";
}
