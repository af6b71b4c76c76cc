import { isProtected, isServing } from "@tulle/api";
import type { DnsDirectory } from "@tulle/dns";
import type { RegistryCatalog } from "./catalog.js";
import { MESH_KEYS } from "./instance.js";
import { isSilent, serviceHealth } from "./state.js";

/** What DNS answers from: the applications' own addresses of instances that are passing or warning. */
export function createDnsDirectory(catalog: RegistryCatalog, protectThreshold?: number): DnsDirectory {
  return {
    service(namespace, name) {
      const registrations = catalog.registrations(namespace, name);
      if (registrations.length === 0) return undefined;
      const healths = registrations.map((service) => ({
        health: serviceHealth(service),
        silent: isSilent(service),
      }));
      const protect = isProtected(healths, protectThreshold);
      return registrations.flatMap((service, index) => {
        const { health = "critical", silent = false } = healths[index] ?? {};
        if (!isServing(health) && !(protect && silent)) return [];
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
