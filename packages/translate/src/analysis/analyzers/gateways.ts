import type { GatewaySpec, MeshObject, VirtualServiceSpec } from "@tulle/api";
import { expandHost } from "../../hosts.js";
import { gatewayStatus } from "../../gateway-api/gateway-status.js";
import { commonHost, fullGatewayName } from "../../gateway/index.js";
import { GATEWAY } from "../../kinds.js";
import { selects } from "../../visibility.js";
import { nameOf } from "../../provenance.js";
import type { Analysis } from "../analysis.js";

type Gateway = MeshObject<GatewaySpec>;

/** IST0101, IST0132: Gateways that a VirtualService names and that are not there, and hosts that none of them serves. */
export function analyzeBoundGateways(analysis: Analysis, object: MeshObject<VirtualServiceSpec>): void {
  const { spec, metadata } = object;
  const found: Gateway[] = [];
  (spec.gateways ?? []).forEach((written, index) => {
    const name = fullGatewayName(written, metadata.namespace);
    if (name === undefined) return;
    const gateway = analysis.objects<GatewaySpec>(GATEWAY).find((one) => fullName(one) === name);
    if (gateway !== undefined) found.push(gateway);
    else {
      const message = `there is no Gateway ${name}: the routes hold for no client of it`;
      analysis.report("IST0101", object, `spec.gateways[${index}]`, message);
    }
  });
  if (found.length === 0 || spec.gateways?.includes("mesh") === true) return;
  (spec.hosts ?? []).forEach((written, index) => {
    const host = expandHost(written.toLowerCase(), metadata.namespace, analysis.domain);
    if (found.some((gateway) => serves(gateway, host, metadata.namespace))) return;
    const message = `no server of ${found.map(nameOf).join(", ")} has the host ${host}: it gets no requests`;
    analysis.report("IST0132", object, `spec.hosts[${index}]`, message);
  });
}

/** IST0145: a host on a port that another Gateway for the same gateways has, too. */
export function analyzeGatewayConflicts(analysis: Analysis, object: Gateway): void {
  for (const other of analysis.objects<GatewaySpec>(GATEWAY)) {
    if (other === object || !areSelectedTogether(object, other)) continue;
    object.spec.servers.forEach(({ port, hosts }, index) => {
      hosts.forEach((host, place) => {
        const same = other.spec.servers.some(
          (server) =>
            server.port.number === port.number && server.hosts.some((one) => hostOf(one) === hostOf(host)),
        );
        if (!same) return;
        const path = `spec.servers[${index}].hosts[${place}]`;
        const message = `${nameOf(other)} has the host ${hostOf(host)} on port ${port.number}, too: of servers with TLS the older one holds`;
        analysis.report("IST0145", object, path, message);
      });
    });
  }
}

/** IST0101 and TUL0001 of Gateways and ListenerSets of Gateway API: what their status says is not well. */
export function analyzeK8sGateway(analysis: Analysis, object: MeshObject): void {
  const { conditions = [], listeners = [] } = gatewayStatus(analysis.reader, object) ?? {};
  for (const { type, status, message } of conditions) {
    if (type === "Accepted" && status === "False")
      analysis.report(
        "TUL0001",
        object,
        object.kind === "ListenerSet" ? "spec.parentRef" : "spec.addresses",
        message,
      );
  }
  listeners.forEach(({ conditions: own }, index) => {
    for (const { type, status, message } of own) {
      if (status === "True" || type === "Programmed" || type === "Conflicted") continue;
      const path = `spec.listeners[${index}]`;
      analysis.report(type === "ResolvedRefs" ? "IST0101" : "TUL0001", object, path, message);
    }
  });
}

function fullName({ metadata }: MeshObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function serves({ spec, metadata }: Gateway, host: string, from: string): boolean {
  return spec.servers.some(({ hosts }) =>
    hosts.some((written) => {
      const slash = written.indexOf("/");
      const namespace = slash < 0 ? "*" : written.slice(0, slash);
      const allowed = namespace === "*" || (namespace === "." ? metadata.namespace : namespace) === from;
      return allowed && commonHost(hostOf(written), host) !== undefined;
    }),
  );
}

function hostOf(written: string): string {
  return written.slice(written.indexOf("/") + 1).toLowerCase();
}

/** Whether gateways that one of them selects may be selected by the other, as far as the selectors tell. */
function areSelectedTogether(a: Gateway, b: Gateway): boolean {
  const first = a.spec.selector ?? {};
  const second = b.spec.selector ?? {};
  return selects(first, second) || selects(second, first);
}
