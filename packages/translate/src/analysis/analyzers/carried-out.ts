import { claimPath } from "@tulle/api";
import type {
  DestinationRuleSpec,
  GatewaySpec,
  MeshObject,
  ServiceEntrySpec,
  SidecarSpec,
  VirtualServiceSpec,
} from "@tulle/api";
import { CLUSTER_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import type { ClientView, MeshReader } from "../../contract.js";
import { DESTINATION_RULE } from "../../kinds.js";
import type { MeshService } from "../../mesh-service.js";
import { INBOUND_LISTENER, outboundClusterName, routeConfigurationName } from "../../names.js";
import { translate } from "../../translate.js";
import { formatAddress } from "@tulle/base";
import type { Analysis } from "../analysis.js";

/** Ports of one service that are looked at. */
const MAX_PORTS = 32;
/** Port that HTTP means when none is written. */
const HTTP_PORT = 80;

/**
 * TUL0001: what an object says and nobody carries out. Asked of translation itself, so that this never says more or less
 * than what proxies are sent.
 */
export function analyzeVirtualServiceCarriedOut(
  analysis: Analysis,
  object: MeshObject<VirtualServiceSpec>,
): void {
  const { spec, metadata } = object;
  (spec.http ?? []).forEach((rule, index) => {
    (rule.match ?? []).forEach((match, matchIndex) => {
      for (const header of Object.keys(match.headers ?? {})) {
        const gateways = match.gateways ?? spec.gateways ?? ["mesh"];
        if (claimPath(header) === undefined || !gateways.includes("mesh")) continue;
        const path = `spec.http[${index}].match[${matchIndex}].headers["${header}"]`;
        analysis.report(
          "TUL0001",
          object,
          path,
          "conditions on claims are for gateways: sidecars leave the match out",
        );
      }
    });
  });
  for (const host of spec.hosts ?? []) {
    if (host.includes("*")) continue;
    const { host: full, service } = analysis.resolve(host, metadata.namespace);
    for (const port of portsOf(service)) {
      const authority = formatAddress(full, port);
      remark(analysis, object, [
        [LISTENER_TYPE, authority],
        [ROUTE_TYPE, routeConfigurationName(full, port)],
      ]);
    }
  }
}

export function analyzeDestinationRuleCarriedOut(
  analysis: Analysis,
  object: MeshObject<DestinationRuleSpec>,
): void {
  const { spec, metadata } = object;
  if (spec.host.includes("*")) return;
  const { service } = analysis.resolve(spec.host, metadata.namespace);
  if (service === undefined) return;
  const subsets = ["", ...(spec.subsets ?? []).map(({ name }) => name)];
  for (const port of portsOf(service)) {
    for (const subset of subsets) {
      remark(analysis, object, [[CLUSTER_TYPE, outboundClusterName(service.host, port, subset)]]);
    }
  }
}

export function analyzeServiceEntryCarriedOut(
  analysis: Analysis,
  object: MeshObject<ServiceEntrySpec>,
): void {
  // Without the rules for it, which are told of what they say themselves.
  const { reader } = analysis;
  const alone: MeshReader = {
    ...reader,
    objects: (group, kind) => (kind === DESTINATION_RULE.kind ? [] : reader.objects(group, kind)),
  };
  (object.spec.ports ?? []).forEach(({ protocol }, index) => {
    if (protocol?.toUpperCase() !== "UDP") return;
    analysis.report("TUL0001", object, `spec.ports[${index}].protocol`, "UDP is not carried");
  });
  for (const host of object.spec.hosts) {
    for (const { number } of (object.spec.ports ?? []).slice(0, MAX_PORTS)) {
      remark(analysis, object, [[CLUSTER_TYPE, outboundClusterName(host.toLowerCase(), number)]], alone);
    }
  }
}

/** What gateways that the object selects are told of it: missing Secrets, ports without routes, servers that share none. */
export function analyzeGatewayCarriedOut(analysis: Analysis, object: MeshObject<GatewaySpec>): void {
  const { metadata, spec } = object;
  const view: ClientView = {
    ...analysis.view(metadata.namespace),
    labels: spec.selector ?? {},
    gateway: { trustedProxies: 0 },
  };
  remark(analysis, object, [[LISTENER_TYPE, INBOUND_LISTENER]], analysis.reader, view);
}

/** What of a Sidecar sidecars do not do. */
export function analyzeSidecarCarriedOut(analysis: Analysis, object: MeshObject<SidecarSpec>): void {
  const { spec } = object;
  const say = (path: string, message: string): void => analysis.report("TUL0001", object, path, message);
  (spec.egress ?? []).forEach(({ bind, captureMode }, index) => {
    if (bind !== undefined)
      say(`spec.egress[${index}].bind`, "no listener is opened: use --upstream of tulle run");
    if (captureMode !== undefined && captureMode !== "DEFAULT") {
      say(
        `spec.egress[${index}].captureMode`,
        "how connections are captured is said when a sidecar is started",
      );
    }
  });
  (spec.ingress ?? []).forEach(({ bind, captureMode }, index) => {
    if (bind !== undefined)
      say(`spec.ingress[${index}].bind`, "a sidecar has one inbound port for all of a workload's");
    if (captureMode !== undefined && captureMode !== "DEFAULT") {
      say(
        `spec.ingress[${index}].captureMode`,
        "how connections are captured is said when a sidecar is started",
      );
    }
  });
  if (spec.outboundTrafficPolicy?.egressProxy !== undefined) {
    say(
      "spec.outboundTrafficPolicy.egressProxy",
      "unknown destinations are passed through or closed, never sent to a proxy",
    );
  }
}

/** What translation says of resources that the object shapes. */
export function remark(
  analysis: Analysis,
  object: MeshObject,
  resources: readonly (readonly [typeUrl: string, name: string])[],
  reader: MeshReader = analysis.reader,
  view: ClientView = analysis.view(object.metadata.namespace),
): void {
  const { kind, metadata } = object;
  const owner = `${kind}/${metadata.namespace}/${metadata.name}`;
  for (const [typeUrl, name] of resources) {
    const made = translate(reader, view, typeUrl, name);
    if (made.resource === undefined || !made.owners.includes(owner)) continue;
    // Which cluster it is does not matter: one that is not carried out is not for any.
    for (const message of made.remarks) {
      analysis.report("TUL0001", object, "", message.replace(/^outbound\|\d+\|[^|]*\|\S+?: /, ""));
    }
  }
}

/** The ports at which a service is looked at. */
export function portsOf(service: MeshService | undefined): readonly number[] {
  if (service === undefined) return [HTTP_PORT];
  return service.ports.slice(0, MAX_PORTS).map(({ number }) => number);
}
