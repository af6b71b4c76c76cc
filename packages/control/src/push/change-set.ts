import {
  serviceLabels,
  type Catalog,
  type CatalogChange,
  type CatalogService,
  type ObjectKey,
} from "@tulle/api";
import type { Dependency } from "@tulle/translate";

/** Dependency on the shape of a registered service: ports, protocols, accounts, whether it exists. */
export function serviceDependency(namespace: string, name: string): Dependency {
  return `service:${namespace}/${name}`;
}

/** Dependency on a service's instances and their health. */
export function endpointsDependency(namespace: string, name: string): Dependency {
  return `endpoints:${namespace}/${name}`;
}

/** Dependency on all objects of a kind. */
export function objectsDependency(group: string, kind: string): Dependency {
  return `objects:${group}/${kind}`;
}

/** The dependencies that changed with these objects. */
export function objectDependencies(keys: readonly ObjectKey[]): ReadonlySet<Dependency> {
  return new Set(keys.map((key) => objectsDependency(key.group, key.kind)));
}

/**
 * Tells what of a service changed: always its endpoints, and its shape only when that differs from what was seen
 * before. So an instance that turns unhealthy, or a second one like the first, rebuilds endpoints and nothing else.
 */
export class CatalogChanges {
  readonly #catalog: Catalog;
  readonly #shapes = new Map<string, string>();

  /** Takes the catalog's present shapes as seen. */
  constructor(catalog: Catalog) {
    this.#catalog = catalog;
    for (const service of catalog.services()) {
      this.#shapes.set(serviceDependency(service.namespace, service.name), shapeOf(service));
    }
  }

  dependencies(change: CatalogChange): ReadonlySet<Dependency> {
    const dependencies = new Set<Dependency>();
    for (const { namespace, name } of change.services) {
      dependencies.add(endpointsDependency(namespace, name));
      const key = serviceDependency(namespace, name);
      const service = this.#catalog.service(namespace, name);
      const shape = service === undefined ? undefined : shapeOf(service);
      if (this.#shapes.get(key) !== shape) {
        dependencies.add(key);
        // Hosts are lower-case: what looked for the service before it existed did not know how its name is spelt.
        dependencies.add(serviceDependency(namespace, name.toLowerCase()));
      }
      if (shape === undefined) this.#shapes.delete(key);
      else this.#shapes.set(key, shape);
    }
    return dependencies;
  }
}

/** Everything about a service but which instances it has and how they are. */
function shapeOf(service: CatalogService): string {
  const accounts = new Set<string>();
  const kinds = new Set<string>();
  for (const instance of service.instances) {
    accounts.add(`${instance.namespace}/${instance.serviceAccount}`);
    kinds.add(`${instance.protocol} ${instance.servicePort ?? 0} ${instance.meshAddress !== undefined}`);
  }
  return JSON.stringify([
    service.portless,
    service.ports.map(({ number, name, protocol }) => [number, name, protocol]),
    [...accounts].sort(),
    [...kinds].sort(),
    serviceLabels(service),
  ]);
}
