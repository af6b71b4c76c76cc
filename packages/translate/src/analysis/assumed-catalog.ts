import type { Catalog, CatalogService, ServiceEntrySpec } from "@tulle/api";
import type { MeshReader } from "../contract.js";
import { SERVICE_ENTRY } from "../kinds.js";

/** What every service is taken for that nobody can look up. */
const PORT = { number: 80, name: "http", protocol: "http" as const };

/**
 * A catalog for files that are read without a registry: every name that may be a service's is one, with whatever port is
 * asked for and no instances. Hosts of ServiceEntries are these.
 */
export function assumedCatalog(reader: Pick<MeshReader, "objects">): Catalog {
  const entries = new Set<string>();
  for (const { spec } of reader.objects(SERVICE_ENTRY.group, SERVICE_ENTRY.kind)) {
    for (const host of (spec as ServiceEntrySpec).hosts) entries.add(host.toLowerCase());
  }
  return {
    service: (namespace, name): CatalogService | undefined => {
      // `a.example` reads as the service `a` of the namespace `example`, too.
      if (name.includes(".") || entries.has(`${name}.${namespace}`)) return undefined;
      return { name, namespace, ports: [PORT], portless: true, instances: [] };
    },
    services: () => [],
  };
}
