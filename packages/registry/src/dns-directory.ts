import { isServing } from "@tulle/api";
import type { DnsDirectory } from "@tulle/dns";
import type { RegistryCatalog } from "./catalog.js";
import { MESH_KEYS } from "./instance.js";
import { serviceHealth } from "./state.js";

/** What DNS answers from: the applications' own addresses of instances that are passing or warning. */
export function createDnsDirectory(catalog: RegistryCatalog): DnsDirectory {
  return {
    service(namespace, name) {
      const registrations = catalog.registrations(namespace, name);
      if (registrations.length === 0) return undefined;
      return registrations.flatMap((service) => {
        const health = serviceHealth(service);
        if (!isServing(health)) return [];
        const { address, port, tags, weights, meta } = service.definition;
        return {
          host: address === "" ? service.node.definition.address : address,
          port,
          tags,
          weight: health === "warning" ? weights.warning : weights.passing,
          portName: meta[MESH_KEYS.protocol] ?? "http",
        };
      });
    },
    node(name) {
      const node = catalog.node(name)?.definition;
      return node === undefined ? undefined : { host: node.address, meta: node.meta };
    },
  };
}
