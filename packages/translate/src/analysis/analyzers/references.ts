import type { Destination, DestinationRuleSpec, MeshObject, VirtualServiceSpec } from "@tulle/api";
import { destinationRuleFor } from "../../destination-rules.js";
import { hostMatch } from "../../hosts.js";
import { DESTINATION_RULE, VIRTUAL_SERVICE } from "../../kinds.js";
import { portNamed, type MeshService } from "../../mesh-service.js";
import { Translation } from "../../translation.js";
import { isExported, selects } from "../../visibility.js";
import type { Analysis } from "../analysis.js";
import { destinationsOf, type NamedDestination } from "../destinations.js";

type VirtualService = MeshObject<VirtualServiceSpec>;

/** IST0101, TUL0002, TUL0005: hosts, ports, subsets and delegates that a VirtualService names and that are not there. */
export function analyzeReferences(analysis: Analysis, object: VirtualService): void {
  for (const named of destinationsOf(object)) {
    const { destination, path } = named;
    const service = analyzeDestination(analysis, object, destination, {
      host: `${path}.host`,
      port: `${path}.port.number`,
    });
    if (service !== undefined) analyzeSubset(analysis, object, named, service);
  }
  (object.spec.http ?? []).forEach((rule, index) => {
    if (rule.delegate !== undefined)
      analyzeDelegate(analysis, object, rule.delegate, `spec.http[${index}].delegate`);
  });
}

/** IST0101: the service or the port of a destination is not there. The service, where it is; `paths`: where they are written. */
export function analyzeDestination(
  analysis: Analysis,
  object: MeshObject,
  { host, port }: Destination,
  paths: { readonly host: string; readonly port: string },
): MeshService | undefined {
  const { namespace } = object.metadata;
  if (analysis.isUnknown(host, namespace)) {
    analysis.report("IST0101", object, paths.host, `there is no service ${host}: calls to it fail`);
    return undefined;
  }
  const { service } = analysis.resolve(host, namespace);
  if (service !== undefined && port !== undefined && portNamed(service, port.number) === undefined) {
    const known = service.ports.map(({ number }) => number).join(", ");
    const message = `${service.host} has no port ${port.number}; it has ${known === "" ? "none" : known}`;
    analysis.report("IST0101", object, paths.port, message);
  }
  return service;
}

function analyzeSubset(
  analysis: Analysis,
  object: VirtualService,
  { destination, path }: NamedDestination,
  service: MeshService,
): void {
  const { subset } = destination;
  if (subset === undefined) return;
  if (isDeclared(analysis, object.metadata.namespace, service, subset)) return;
  const byLabel = instancesWith(analysis, service, { version: subset });
  if (isAbsent(analysis, service, byLabel)) {
    const message =
      byLabel === undefined
        ? `the DestinationRules for ${service.host} do not declare the subset ${subset}`
        : `no DestinationRule declares the subset ${subset} of ${service.host}, and no instance is labelled version=${subset}`;
    analysis.report("IST0101", object, `${path}.subset`, message);
    return;
  }
  const message = `no DestinationRule declares the subset ${subset} of ${service.host}: it means the instances labelled version=${subset}`;
  analysis.report("TUL0002", object, `${path}.subset`, message);
}

/** Whether a subset of a service, as a client of `namespace` sees it, is nothing that anybody could mean. */
export function isUndeclared(
  analysis: Analysis,
  namespace: string,
  service: MeshService,
  subset: string,
): boolean {
  if (isDeclared(analysis, namespace, service, subset)) return false;
  return isAbsent(analysis, service, instancesWith(analysis, service, { version: subset }));
}

function isDeclared(analysis: Analysis, namespace: string, service: MeshService, subset: string): boolean {
  const translation = new Translation(analysis.reader, analysis.view(namespace));
  return destinationRuleFor(translation, service)?.subsets.has(subset) === true;
}

/** `byLabel`: how many instances have the subset's name as their version; undefined when nobody knows. */
function isAbsent(analysis: Analysis, service: MeshService, byLabel: number | undefined): boolean {
  // Without a registry only rules that declare other subsets say that this one was forgotten.
  return byLabel === undefined ? isRuled(analysis, service) : byLabel === 0;
}

/** How many instances of a service have labels; undefined when nobody knows. */
export function instancesWith(
  analysis: Analysis,
  service: MeshService,
  labels: Readonly<Record<string, string>>,
): number | undefined {
  if (!analysis.live) return undefined;
  const registered = analysis.reader.catalog.service(service.namespace, service.name);
  if (registered !== undefined && service.host.endsWith(`.svc.${analysis.domain}`)) {
    return registered.instances.filter((instance) => selects(labels, instance.labels)).length;
  }
  const ids = service.ports.flatMap((port) =>
    service
      .endpoints(port)
      .filter((endpoint) => selects(labels, endpoint.labels))
      .map(({ id }) => id),
  );
  return new Set(ids).size;
}

function isRuled(analysis: Analysis, service: MeshService): boolean {
  return analysis
    .objects<DestinationRuleSpec>(DESTINATION_RULE)
    .some(
      ({ spec, metadata }) =>
        (spec.subsets ?? []).length > 0 &&
        hostMatch(spec.host, metadata.namespace, service.host, analysis.domain) > 0,
    );
}

function analyzeDelegate(
  analysis: Analysis,
  root: VirtualService,
  delegate: { readonly name: string; readonly namespace?: string },
  path: string,
): void {
  const namespace = delegate.namespace ?? root.metadata.namespace;
  const full = `${namespace}/${delegate.name}`;
  const found = analysis
    .objects<VirtualServiceSpec>(VIRTUAL_SERVICE)
    .find(({ metadata }) => metadata.namespace === namespace && metadata.name === delegate.name);
  if (found === undefined) {
    analysis.report(
      "IST0101",
      root,
      path,
      `there is no VirtualService ${full}: requests of this rule find no route`,
    );
    return;
  }
  if (!isExported(found.spec.exportTo, namespace, root.metadata.namespace)) {
    const message = `the VirtualService ${full} is not exported to the namespace ${root.metadata.namespace}`;
    analysis.report("IST0101", root, path, message);
    return;
  }
  const why =
    (found.spec.hosts ?? []).length > 0
      ? "has hosts of its own"
      : (found.spec.http ?? []).some((rule) => rule.delegate !== undefined)
        ? "delegates further"
        : undefined;
  if (why !== undefined)
    analysis.report("TUL0005", root, path, `the VirtualService ${full} ${why}: it is no delegate`);
}
