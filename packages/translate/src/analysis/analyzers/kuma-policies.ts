import type {
  KumaBackendRef,
  KumaDestination,
  MeshHTTPMatch,
  MeshHTTPRouteSpec,
  MeshObject,
  MeshTCPRouteSpec,
} from "@tulle/api";
import { CLUSTER_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { formatAddress } from "@tulle/base";
import { destinationOf } from "../../kuma/backends.js";
import { referredHosts } from "../../kuma/service-names.js";
import { outboundClusterName, routeConfigurationName } from "../../names.js";
import { regexProblem } from "../../regex-syntax.js";
import { labelsOfSubset } from "../../subset-defaults.js";
import { Translation } from "../../translation.js";
import type { Analysis } from "../analysis.js";
import { portsOf, remark } from "./carried-out.js";
import { analyzeDestination, instancesWith } from "./references.js";

/** A policy by whom it is for. */
interface Policy {
  readonly to?: readonly { readonly targetRef: KumaDestination }[];
}

/** IST0101 of a policy that says how calls are made: services that are not there. */
export function analyzeKumaPolicy(analysis: Analysis, object: MeshObject<Policy>): void {
  (object.spec.to ?? []).forEach(({ targetRef }, index) => {
    analyzeKumaDestination(analysis, object, targetRef, `spec.to[${index}].targetRef`);
  });
}

/** IST0101, IST0122 of a MeshHTTPRoute: services that are not there, regular expressions that no proxy takes. */
export function analyzeMeshHttpRoute(analysis: Analysis, object: MeshObject<MeshHTTPRouteSpec>): void {
  (object.spec.to ?? []).forEach(({ targetRef, rules = [] }, index) => {
    analyzeKumaDestination(analysis, object, targetRef, `spec.to[${index}].targetRef`);
    rules.forEach(({ matches, default: { filters = [], backendRefs = [] } }, ruleIndex) => {
      const at = `spec.to[${index}].rules[${ruleIndex}]`;
      matches.forEach((match, matchIndex) => {
        analyzeMatch(analysis, object, match, `${at}.matches[${matchIndex}]`);
      });
      filters.forEach(({ requestMirror }, filterIndex) => {
        const path = `${at}.default.filters[${filterIndex}].requestMirror.backendRef`;
        if (requestMirror !== undefined) analyzeBackend(analysis, object, requestMirror.backendRef, path);
      });
      backendRefs.forEach((reference, backendIndex) => {
        analyzeBackend(analysis, object, reference, `${at}.default.backendRefs[${backendIndex}]`);
      });
    });
  });
}

/** IST0101 of a MeshTCPRoute: services that are not there. */
export function analyzeMeshTcpRoute(analysis: Analysis, object: MeshObject<MeshTCPRouteSpec>): void {
  (object.spec.to ?? []).forEach(({ targetRef, rules }, index) => {
    analyzeKumaDestination(analysis, object, targetRef, `spec.to[${index}].targetRef`);
    (rules[0]?.default.backendRefs ?? []).forEach((reference, backendIndex) => {
      const path = `spec.to[${index}].rules[0].default.backendRefs[${backendIndex}]`;
      analyzeBackend(analysis, object, reference, path);
    });
  });
}

/** TUL0001: what of a policy is not carried out, such as of one that stands behind another kind of object. */
export function analyzePolicyCarriedOut(analysis: Analysis, object: MeshObject<Policy>): void {
  // What ports carry is known of those only that are registered.
  if (!analysis.live && object.kind === "MeshTCPRoute") return;
  const { namespace } = object.metadata;
  const t = new Translation(analysis.reader, analysis.view(namespace));
  for (const { targetRef } of object.spec.to ?? []) {
    for (const host of referredHosts(t, targetRef, namespace)) {
      const { service } = analysis.resolve(host, namespace);
      for (const port of portsOf(service)) {
        remark(analysis, object, [
          [LISTENER_TYPE, formatAddress(host, port)],
          [ROUTE_TYPE, routeConfigurationName(host, port)],
          [CLUSTER_TYPE, outboundClusterName(host, port)],
        ]);
      }
    }
  }
}

/** IST0101: nobody can call what a policy is for. */
export function analyzeKumaDestination(
  analysis: Analysis,
  object: MeshObject,
  reference: KumaDestination,
  path: string,
): void {
  const { namespace } = object.metadata;
  const t = new Translation(analysis.reader, analysis.view(namespace));
  const hosts = referredHosts(t, reference, namespace);
  if (reference.kind === "Mesh" || hosts.some((host) => !analysis.isUnknown(host, namespace))) return;
  const [what = `ServiceEntry ${reference.name}`] = hosts;
  analysis.report(
    "IST0101",
    object,
    path,
    `there is no service ${what}: the ${object.kind} has no effect on it`,
  );
}

function analyzeBackend(
  analysis: Analysis,
  object: MeshObject,
  reference: Omit<KumaBackendRef, "weight">,
  path: string,
): void {
  const { namespace } = object.metadata;
  const t = new Translation(analysis.reader, analysis.view(namespace));
  const destination = destinationOf(t, reference, namespace);
  const service = analyzeDestination(analysis, object, destination, { host: path, port: `${path}.port` });
  if (service === undefined || destination.subset === undefined) return;
  if (instancesWith(analysis, service, labelsOfSubset(destination.subset)) !== 0) return;
  const message = `no instance of ${service.host} is labelled ${destination.subset}: calls to it fail`;
  analysis.report("IST0101", object, path, message);
}

function analyzeMatch(analysis: Analysis, object: MeshObject, match: MeshHTTPMatch, at: string): void {
  const { path, headers = [], queryParams = [] } = match;
  const look = (type: string | undefined, value: string | undefined, place: string): void => {
    const problem = type === "RegularExpression" && value !== undefined ? regexProblem(value) : undefined;
    if (problem === undefined) return;
    const message = `the regular expression ${JSON.stringify(value)} ${problem}`;
    analysis.report("IST0122", object, `${at}.${place}.value`, message);
  };
  look(path?.type, path?.value, "path");
  headers.forEach(({ type, value }, index) => look(type, value, `headers[${index}]`));
  queryParams.forEach(({ type, value }, index) => look(type, value, `queryParams[${index}]`));
}
