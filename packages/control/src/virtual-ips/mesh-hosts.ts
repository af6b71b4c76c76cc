import type { Catalog, CatalogChange, MeshObject, ObjectKey, ServiceEntrySpec } from "@tulle/api";
import { expandHost, fullHost, takesVirtualIp } from "@tulle/translate";

const GROUP = "networking.istio.io";
const KIND = "ServiceEntry";

/** What the hosts with virtual IPs are read from. */
export interface MeshHostsSources {
  readonly catalog: Catalog;
  readonly index: { objects(group: string, kind: string): readonly MeshObject[] };
  readonly domainSuffix: string;
}

/** No name in DNS is longer (RFC 1035 section 2.3.4). */
const MAX_HOST_LENGTH = 253;

/** Every host that gets a virtual IP: registered services, and ServiceEntry hosts without addresses of their own. */
export function* meshHosts(sources: MeshHostsSources): Iterable<string> {
  for (const host of allHosts(sources)) if (host.length <= MAX_HOST_LENGTH) yield host;
}

function* allHosts({ catalog, index, domainSuffix }: MeshHostsSources): Iterable<string> {
  for (const service of catalog.services()) yield fullHost(service, domainSuffix);
  for (const object of index.objects(GROUP, KIND) as readonly MeshObject<ServiceEntrySpec>[]) {
    if (!takesVirtualIp(object.spec)) continue;
    for (const host of object.spec.hosts) {
      if (!host.includes("*")) yield expandHost(host.toLowerCase(), object.metadata.namespace, domainSuffix);
    }
  }
}

/** Whether a change of the catalog made a service appear or go; health does not change who has an address. */
export function changesHosts(
  { catalog, domainSuffix }: MeshHostsSources,
  change: CatalogChange,
  addressOf: (host: string) => string | undefined,
): boolean {
  return change.services.some(
    ({ namespace, name }) =>
      (catalog.service(namespace, name) !== undefined) !==
      (addressOf(fullHost({ namespace, name }, domainSuffix)) !== undefined),
  );
}

/** Whether one of these objects may bring or take hosts. */
export function namesHosts(keys: readonly ObjectKey[]): boolean {
  return keys.some(({ group, kind }) => group === GROUP && kind === KIND);
}
