import { create } from "@bufbuild/protobuf";
import type { ServiceEntrySpec } from "@tulle/api";
import {
  NameTable_NameInfoSchema,
  NameTableSchema,
  type NameTable,
} from "@tulle/xds/gen/istio/networking/nds/v1/nds_pb.js";
import { dnsFaults } from "./dns-faults.js";
import { expandHost } from "./hosts.js";
import { SERVICE_ENTRY } from "./kinds.js";
import { mayCall } from "./sidecar-scope.js";
import type { Translation } from "./translation.js";
import { virtualIpv6 } from "./virtual-ipv6.js";
import { byAge, isExported } from "./visibility.js";

/** Name of the one NameTable that a client has. */
export const NAME_TABLE = "name-table";

/** Registry of a host that also answers to its short forms (Istio's value for it). */
const WITH_SHORT_FORMS = "Kubernetes";
const AS_WRITTEN = "External";

/**
 * Whether the hosts of a ServiceEntry get virtual IPs: names without an address of their own, unless a caller's own
 * destination decides where they lead (resolution NONE), which a virtual IP would hide.
 */
export function takesVirtualIp({ addresses = [], resolution = "NONE" }: ServiceEntrySpec): boolean {
  return addresses.length === 0 && resolution !== "NONE";
}

/** Every host that the client may resolve. A registered service wins over a ServiceEntry, the older entry over the newer. */
export function nameTable(t: Translation): NameTable {
  const names = create(NameTableSchema);
  // User-chosen keys: a null prototype keeps "__proto__" an ordinary one.
  names.table = Object.create(null) as NameTable["table"];
  const faultOf = dnsFaults(t);
  for (const { id, host, ip } of t.servicesWithVirtualIp()) {
    if (!mayCall(t, { namespace: id.namespace, hosts: [host] }, undefined)) continue;
    names.table[host] = create(NameTable_NameInfoSchema, {
      ips: [ip, virtualIpv6(ip)],
      registry: WITH_SHORT_FORMS,
      shortname: id.name.toLowerCase(),
      namespace: id.namespace,
      fault: faultOf(host),
    });
  }
  for (const object of [...t.objects<ServiceEntrySpec>(SERVICE_ENTRY)].sort(byAge)) {
    const { namespace } = object.metadata;
    if (!isExported(object.spec.exportTo, namespace, t.view.namespace)) continue;
    for (const written of object.spec.hosts) {
      if (written.includes("*")) continue;
      const host = expandHost(written.toLowerCase(), namespace, t.settings.domainSuffix);
      const ips = takesVirtualIp(object.spec) ? virtualAddresses(t, host) : ownAddresses(object.spec);
      if (!mayCall(t, { namespace, hosts: [host] }, undefined)) continue;
      if (Object.hasOwn(names.table, host) || ips.length === 0) continue;
      t.own(object);
      names.table[host] = create(NameTable_NameInfoSchema, {
        ips,
        registry: AS_WRITTEN,
        namespace,
        fault: faultOf(host),
      });
    }
  }
  return names;
}

/** Of both families; none as long as none is allocated. */
function virtualAddresses(t: Translation, host: string): string[] {
  const ip = t.virtualIp(host);
  return ip === undefined ? [] : [ip, virtualIpv6(ip)];
}

/** Addresses that a ServiceEntry gives its hosts itself; blocks of addresses cannot be an answer. */
function ownAddresses({ addresses = [] }: ServiceEntrySpec): string[] {
  return addresses.filter((address) => !address.includes("/"));
}
