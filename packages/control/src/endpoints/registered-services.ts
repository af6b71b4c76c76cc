import type { Instance, RegisteredCheck, RegisteredInstance, RegisteredService } from "@tulle/api";
import { formatAddress } from "@tulle/base";
import { instanceId, type RegistryCatalog } from "@tulle/registry";

/** What of the registry is read for a report. */
export type EndpointCatalog = Pick<RegistryCatalog, "service" | "services" | "registrations">;

/** Services with their instances and checks: the one that is named, or all ("") of a namespace ("" = of all). */
export function registeredServices(
  catalog: EndpointCatalog,
  namespace: string,
  name: string,
): readonly RegisteredService[] {
  const services = [...catalog.services()]
    .filter(
      (each) => (name === "" || each.name === name) && (namespace === "" || each.namespace === namespace),
    )
    .sort((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
  return services.map((service) => {
    const checks = checksOf(catalog, service.namespace, service.name);
    return {
      namespace: service.namespace,
      name: service.name,
      instances: service.instances.map((instance) => instanceOf(instance, checks.get(instance.id) ?? [])),
    };
  });
}

function checksOf(
  catalog: EndpointCatalog,
  namespace: string,
  name: string,
): ReadonlyMap<string, readonly RegisteredCheck[]> {
  return new Map(
    catalog.registrations(namespace, name).map((state) => [
      instanceId(state),
      [...state.node.checks.values(), ...state.checks.values()].map(({ definition, status, output }) => ({
        id: definition.id,
        status,
        output,
      })),
    ]),
  );
}

function instanceOf(instance: Instance, checks: readonly RegisteredCheck[]): RegisteredInstance {
  const { id, address, meshAddress, health, labels, locality, weight } = instance;
  return {
    id,
    address: formatAddress(address.host, address.port),
    meshAddress: meshAddress === undefined ? "" : formatAddress(meshAddress.host, meshAddress.port),
    health,
    version: labels["version"] ?? "",
    locality:
      locality === undefined ? "" : [locality.region, locality.zone].filter((part) => part !== "").join("/"),
    weight,
    checks,
  };
}
