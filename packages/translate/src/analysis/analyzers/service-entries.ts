import {
  declaredProtocol,
  protocolOfPortName,
  type MeshObject,
  type ServiceEntryPort,
  type ServiceEntrySpec,
  type WorkloadEntrySpec,
} from "@tulle/api";
import { serviceNamed } from "../../hosts.js";
import { SERVICE_ENTRY, WORKLOAD_ENTRY } from "../../kinds.js";
import { takesVirtualIp } from "../../name-table.js";
import { byAge, selects } from "../../visibility.js";
import { nameOf } from "../../provenance.js";
import type { Analysis } from "../analysis.js";
import { sharedNamespace } from "../visibility-overlap.js";

type ServiceEntry = MeshObject<ServiceEntrySpec>;

/** IST0118: ports whose protocol has to be guessed. IST0134: ports that only an address tells apart, without one. */
export function analyzeEntryPorts(analysis: Analysis, object: ServiceEntry): void {
  const { spec } = object;
  const reachable = (spec.addresses ?? []).length > 0 || takesVirtualIp(spec);
  (spec.ports ?? []).forEach((port, index) => {
    const path = `spec.ports[${index}]`;
    const protocol = protocolOf(port);
    if (protocol === undefined) {
      const message = `nothing says what the port ${port.name} speaks: it is found out from the first bytes of each connection`;
      analysis.report("IST0118", object, `${path}.name`, message);
    }
    if (!reachable && (protocol === undefined || protocol === "tcp")) {
      const message = `connections to port ${port.number} say no host: without addresses they cannot be told from others`;
      analysis.report("IST0134", object, path, message);
    }
  });
}

function protocolOf({ protocol, name }: ServiceEntryPort): string | undefined {
  return protocol === undefined ? protocolOfPortName(name) : (declaredProtocol(protocol) ?? "tcp");
}

/** IST0127: a selector that no WorkloadEntry of the namespace matches. */
export function analyzeEntryWorkloads(analysis: Analysis, object: ServiceEntry): void {
  const labels = object.spec.workloadSelector?.labels;
  if (object.spec.workloadSelector === undefined) return;
  const { namespace } = object.metadata;
  const found = analysis
    .objects<WorkloadEntrySpec>(WORKLOAD_ENTRY)
    .some(({ metadata, spec }) => metadata.namespace === namespace && selects(labels, spec.labels ?? {}));
  if (found) return;
  const message = `no WorkloadEntry of the namespace ${namespace} has these labels: the service has no endpoint`;
  analysis.report("IST0127", object, "spec.workloadSelector", message);
}

/** IST0177, TUL0004: hosts that somebody else has too. */
export function analyzeEntryHosts(analysis: Analysis, object: ServiceEntry): void {
  object.spec.hosts.forEach((written, index) => {
    const host = written.toLowerCase();
    const path = `spec.hosts[${index}]`;
    if (isRegistered(analysis, host, object.metadata.namespace)) {
      const message = `a registered service has the host ${host}: this object has no effect on it`;
      analysis.report("TUL0004", object, path, message);
    }
    const others = analysis.sharing<ServiceEntrySpec>(SERVICE_ENTRY, host, ({ spec }) =>
      spec.hosts.map((theirs) => theirs.toLowerCase()),
    );
    for (const other of others) {
      if (other === object || sharedNamespace(exportOf(other), exportOf(object)) === undefined) continue;
      compareProtocols(analysis, object, other, host);
      if (other.metadata.namespace !== object.metadata.namespace || byAge(other, object) > 0) continue;
      const message = `${nameOf(other)} is older and has the host ${host} too: this object has no effect on it`;
      analysis.report("TUL0004", object, path, message);
    }
  });
}

function compareProtocols(analysis: Analysis, object: ServiceEntry, other: ServiceEntry, host: string): void {
  (object.spec.ports ?? []).forEach((port, index) => {
    const theirs = other.spec.ports?.find(({ number }) => number === port.number);
    if (theirs === undefined || protocolOf(theirs) === protocolOf(port)) return;
    const message = `port ${port.number} of ${host} is ${textOf(port)} here and ${textOf(theirs)} in ${nameOf(other)}`;
    analysis.report("IST0177", object, `spec.ports[${index}].protocol`, message);
  });
}

function textOf(port: ServiceEntryPort): string {
  return protocolOf(port) ?? "not declared";
}

function isRegistered(analysis: Analysis, host: string, namespace: string): boolean {
  const id = analysis.live ? serviceNamed(host, namespace, analysis.domain) : undefined;
  return id !== undefined && analysis.reader.catalog.service(id.namespace, id.name) !== undefined;
}

function exportOf({ spec, metadata }: ServiceEntry) {
  return { namespace: metadata.namespace, exportTo: spec.exportTo };
}
