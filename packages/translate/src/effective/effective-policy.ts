import {
  servingInstances,
  type EffectivePolicyReport,
  type EffectiveRule,
  type EffectiveSetting,
  type EffectiveSubset,
  type MeshObject,
  type VirtualServiceSpec,
} from "@tulle/api";
import { ROUTE_TYPE } from "@tulle/xds";
import { acceptedTls } from "../authentication.js";
import type { ClientView, MeshReader } from "../contract.js";
import { chainRules } from "../consul/chain-routes.js";
import { destinationRuleFor, effectivePolicy } from "../destination-rules.js";
import { hostMatch } from "../hosts.js";
import { VIRTUAL_SERVICE } from "../kinds.js";
import type { MeshService } from "../mesh-service.js";
import { routeConfigurationName } from "../names.js";
import { nameOf } from "../provenance.js";
import { rulesOf } from "../routes/delegates.js";
import { calledHost, resolveHost } from "../services.js";
import { sidecarOf } from "../sidecar-scope.js";
import { holdingSettings } from "../traffic-policies.js";
import { translate } from "../translate.js";
import { Translation } from "../translation.js";
import { isForMesh, virtualServiceFor } from "../virtual-services.js";
import { isExported, isSource, selects } from "../visibility.js";
import { actionTexts, connectionMatchText, destinationTexts, matchText } from "./rule-text.js";

/** Clients that the question is about. */
export interface PolicyClient {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Whose rules hold, and which, when some clients call a host. Made by the functions that translate them. */
export function describePolicy(
  reader: MeshReader,
  written: string,
  client: PolicyClient,
): EffectivePolicyReport {
  const view: ClientView = { dialect: "tulle", mtls: true, inbound: [], ...client };
  const asked = written.toLowerCase();
  const t = new Translation(reader, view);
  const { host, service } = resolveHost(t, asked, client.namespace);
  const sidecar = sidecarOf(t);
  const hidden = calledHost(t, asked, undefined).hidden;
  const routes = routesOf(t, host);
  const registered = service && registeredOf(reader, service);
  const traffic = service && trafficOf(t, service);
  const settings = service && settingsOf(t, service);
  return {
    host,
    client,
    ...(service === undefined ? {} : { source: registered === undefined ? sourceOf(t) : "registry" }),
    ...(hidden && sidecar !== undefined ? { hiddenBy: nameOf(sidecar) } : {}),
    ports: service?.ports.map(({ number, name, protocol }) => ({ number, name, protocol })) ?? [],
    instances: {
      serving:
        registered === undefined
          ? endpointCount(service)
          : servingInstances(registered.instances, reader.settings.protectThreshold).length,
      total: registered?.instances.length ?? endpointCount(service),
    },
    ...(reader.virtualIp?.(host) === undefined ? {} : { virtualIp: reader.virtualIp(host) ?? "" }),
    ...(routes === undefined ? {} : { routes }),
    ...(traffic === undefined ? {} : { traffic }),
    ...(settings === undefined || settings.length === 0 ? {} : { settings }),
    accepts: acceptedBy(reader, service, client),
    ...(sidecar === undefined ? {} : { sidecar: nameOf(sidecar) }),
    warnings: warningsOf(reader, view, host, service),
  };
}

function registeredOf(reader: MeshReader, service: MeshService) {
  const found = reader.catalog.service(service.namespace, service.name);
  return service.host.endsWith(`.svc.${reader.settings.domainSuffix}`) ? found : undefined;
}

/** The ServiceEntry that the host was found in, which its translation noted as owner. */
function sourceOf(t: Translation): string {
  const entry = t.owners().find((owner) => owner.startsWith("ServiceEntry/"));
  const [kind = "", namespace = "", name = ""] = entry?.split("/") ?? [];
  return `${kind} ${namespace}/${name}`;
}

function endpointCount(service: MeshService | undefined): number {
  const ids = (service?.ports ?? []).flatMap((port) => service?.endpoints(port).map(({ id }) => id) ?? []);
  return new Set(ids).size;
}

function routesOf(t: Translation, host: string): EffectivePolicyReport["routes"] {
  const object = virtualServiceFor(t, host);
  if (object === undefined) return chainOf(t, host);
  const rules: EffectiveRule[] = [];
  for (const { rule, object: owner, index } of rulesOf(t, object)) {
    // Rules that cannot hold for these clients are not theirs.
    const own = (rule.match ?? []).filter((match) => isForMesh(match.gateways) && isSource(match, t.view));
    if ((rule.match ?? []).length > 0 && own.length === 0) continue;
    rules.push({
      field: `http[${index}]`,
      owner: nameOf(owner),
      ...(rule.name === undefined ? {} : { name: rule.name }),
      when: own.map(matchText).filter((text) => text !== ""),
      does: actionTexts(rule),
    });
  }
  for (const protocol of ["tls", "tcp"] as const) {
    (object.spec[protocol] ?? []).forEach(({ match = [], route }, index) => {
      const own = match.filter((one) => isForMesh(one.gateways) && isSource(one, t.view));
      if (match.length > 0 && own.length === 0) return;
      rules.push({
        field: `${protocol}[${index}]`,
        owner: nameOf(object),
        when: own.map(connectionMatchText).filter((text) => text !== ""),
        does: destinationTexts(route),
      });
    });
  }
  return { owner: nameOf(object), rules, ignored: othersFor(t, host, object).map(nameOf) };
}

/** Where Consul's entries lead, of which the one that decides for most is the owner. */
function chainOf(t: Translation, host: string): EffectivePolicyReport["routes"] {
  const rules = chainRules(t, host) ?? [];
  const last = rules.at(-1);
  if (last === undefined) return undefined;
  return {
    owner: nameOf(last.object),
    rules: rules.map(({ rule, object, field }) => ({
      field,
      owner: nameOf(object),
      when: (rule.match ?? []).map(matchText).filter((text) => text !== ""),
      does: actionTexts(rule),
    })),
    ignored: [],
  };
}

/** Objects for the host, exact or by wildcard, that clients see and that do not hold. */
function othersFor(
  t: Translation,
  host: string,
  winner: MeshObject<VirtualServiceSpec>,
): readonly MeshObject<VirtualServiceSpec>[] {
  return t.objects<VirtualServiceSpec>(VIRTUAL_SERVICE).filter(({ spec, metadata }) => {
    if (metadata.name === winner.metadata.name && metadata.namespace === winner.metadata.namespace)
      return false;
    if (!isForMesh(spec.gateways) || !isExported(spec.exportTo, metadata.namespace, t.view.namespace))
      return false;
    return (spec.hosts ?? []).some(
      (pattern) => hostMatch(pattern, metadata.namespace, host, t.settings.domainSuffix) > 0,
    );
  });
}

/** Ports for which the same object holds are told together. */
function settingsOf(t: Translation, service: MeshService): readonly EffectiveSetting[] {
  const found = new Map<string, EffectiveSetting & { readonly ports: number[] }>();
  for (const { number } of service.ports) {
    for (const { setting, object, value } of holdingSettings(t, service, number)) {
      const owner = nameOf(object);
      const key = `${setting} ${owner}`;
      const known = found.get(key);
      if (known === undefined) found.set(key, { setting, owner, ports: [number], value });
      else known.ports.push(number);
    }
  }
  return [...found.values()];
}

function trafficOf(t: Translation, service: MeshService): EffectivePolicyReport["traffic"] {
  const rule = destinationRuleFor(t, service);
  if (rule === undefined) return undefined;
  const port = service.ports[0]?.number ?? 0;
  const policy = effectivePolicy(t, rule, "", port);
  const subsets = [...rule.subsets.values()].map((subset): EffectiveSubset => {
    const owner = rule.objects.find(({ spec }) => spec.subsets?.includes(subset) === true) ?? rule.objects[0];
    const ids = service.ports.flatMap((each) =>
      service
        .endpoints(each)
        .filter((one) => selects(subset.labels, one.labels) && subset.admits?.(one) !== false)
        .map(({ id }) => id),
    );
    return {
      name: subset.name,
      owner: owner === undefined ? "" : nameOf(owner),
      labels: subset.labels ?? {},
      instances: new Set(ids).size,
      ...(subset.trafficPolicy === undefined ? {} : { trafficPolicy: subset.trafficPolicy }),
    };
  });
  return {
    owners: rule.objects.map(nameOf),
    ...(Object.keys(policy).length === 0 ? {} : { trafficPolicy: policy }),
    subsets,
  };
}

/** As a workload of the service without labels sees it. */
function acceptedBy(
  reader: MeshReader,
  service: MeshService | undefined,
  client: PolicyClient,
): EffectivePolicyReport["accepts"] {
  const namespace = service?.namespace ?? client.namespace;
  const t = new Translation(reader, { dialect: "tulle", namespace, mtls: true, labels: {}, inbound: [] });
  const mode = acceptedTls(t, 0);
  const owner = t.owners().find((one) => one.startsWith("PeerAuthentication/"));
  const [kind = "", ownNamespace = "", name = ""] = owner?.split("/") ?? [];
  return { mode, ...(owner === undefined ? {} : { owner: `${kind} ${ownNamespace}/${name}` }) };
}

function warningsOf(
  reader: MeshReader,
  view: ClientView,
  host: string,
  service: MeshService | undefined,
): readonly string[] {
  const warnings = new Set<string>();
  for (const { number } of service?.ports ?? []) {
    const made = translate(reader, view, ROUTE_TYPE, routeConfigurationName(host, number));
    for (const warning of made.resource === undefined ? [] : made.warnings) warnings.add(warning);
  }
  return [...warnings];
}
