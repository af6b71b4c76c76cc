import type { ClientTlsSettings, DestinationRuleSpec, MeshObject } from "@tulle/api";
import { expandHost } from "../../hosts.js";
import { DESTINATION_RULE } from "../../kinds.js";
import { byAge } from "../../visibility.js";
import { nameOf } from "../../provenance.js";
import type { Analysis } from "../analysis.js";
import { instancesWith } from "./references.js";
import { sharedNamespace } from "../visibility-overlap.js";

type DestinationRule = MeshObject<DestinationRuleSpec>;

/** IST0174: a host that no service has. IST0173: subsets without instances. */
export function analyzeRuleHost(analysis: Analysis, object: DestinationRule): void {
  const { spec, metadata } = object;
  if (spec.host.includes("*")) return;
  if (analysis.isUnknown(spec.host, metadata.namespace)) {
    analysis.report(
      "IST0174",
      object,
      "spec.host",
      `there is no service ${spec.host}: the rule has no effect`,
    );
    return;
  }
  const { service } = analysis.resolve(spec.host, metadata.namespace);
  if (service === undefined) return;
  (spec.subsets ?? []).forEach(({ name, labels = {} }, index) => {
    if (instancesWith(analysis, service, labels) !== 0) return;
    const text = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
    const message = `no instance of ${service.host} has ${text.join(", ")}: the subset ${name} is empty`;
    analysis.report("IST0173", object, `spec.subsets[${index}].labels`, message);
  });
}

/** IST0128, IST0129: TLS that believes any server. */
export function analyzeServerVerification(analysis: Analysis, object: DestinationRule): void {
  const { spec } = object;
  const policies = [
    { policy: spec.trafficPolicy, at: "spec.trafficPolicy", what: spec.host },
    ...(spec.subsets ?? []).map(({ name, trafficPolicy }, index) => ({
      policy: trafficPolicy,
      at: `spec.subsets[${index}].trafficPolicy`,
      what: `the subset ${name} of ${spec.host}`,
    })),
  ];
  for (const { policy, at, what } of policies) {
    if (isUnverified(policy?.tls)) {
      analysis.report(
        "IST0128",
        object,
        `${at}.tls`,
        `TLS with ${what} does not verify the server: insecureSkipVerify believes any certificate`,
      );
    }
    (policy?.portLevelSettings ?? []).forEach(({ port, tls }, index) => {
      if (!isUnverified(tls)) return;
      const message = `TLS with port ${port.number} of ${what} does not verify the server: insecureSkipVerify believes any certificate`;
      analysis.report("IST0129", object, `${at}.portLevelSettings[${index}].tls`, message);
    });
  }
}

function isUnverified(tls: ClientTlsSettings | undefined): boolean {
  if (tls?.mode !== "SIMPLE" && tls?.mode !== "MUTUAL") return false;
  return tls.insecureSkipVerify === true;
}

/** TUL0003: settings that an older rule for the same host has already. */
export function analyzeMergedRules(analysis: Analysis, object: DestinationRule): void {
  const host = fullHostOf(analysis, object);
  const selector = selectorOf(object);
  const older = analysis
    .sharing<DestinationRuleSpec>(DESTINATION_RULE, host, (other) => [fullHostOf(analysis, other)])
    .filter(
      (other) =>
        other !== object &&
        other.metadata.namespace === object.metadata.namespace &&
        selectorOf(other) === selector &&
        byAge(other, object) < 0 &&
        sharedNamespace(exportOf(other), exportOf(object)) !== undefined,
    );
  const withPolicy = older.find(({ spec }) => spec.trafficPolicy !== undefined);
  if (object.spec.trafficPolicy !== undefined && withPolicy !== undefined) {
    const message = `has no effect: ${nameOf(withPolicy)} for ${host} is older, and its trafficPolicy holds`;
    analysis.report("TUL0003", object, "spec.trafficPolicy", message);
  }
  (object.spec.subsets ?? []).forEach(({ name }, index) => {
    const first = older.find(({ spec }) => spec.subsets?.some((subset) => subset.name === name) === true);
    if (first === undefined) return;
    const message = `has no effect: ${nameOf(first)} for ${host} is older and declares the subset ${name}`;
    analysis.report("TUL0003", object, `spec.subsets[${index}]`, message);
  });
}

function fullHostOf(analysis: Analysis, { spec, metadata }: DestinationRule): string {
  return expandHost(spec.host.toLowerCase(), metadata.namespace, analysis.domain);
}

function selectorOf({ spec }: DestinationRule): string {
  const labels = Object.entries(spec.workloadSelector?.matchLabels ?? {});
  return JSON.stringify(labels.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function exportOf({ spec, metadata }: DestinationRule) {
  return { namespace: metadata.namespace, exportTo: spec.exportTo };
}
