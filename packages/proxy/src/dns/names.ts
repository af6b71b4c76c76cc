import { fromBinary } from "@bufbuild/protobuf";
import { MeshError } from "@tulle/base";
import { NameTableSchema, type NameTable_DnsFault } from "@tulle/xds/gen/istio/networking/nds/v1/nds_pb.js";

/** Registry of hosts that also answer to their short forms (Istio's). */
const WITH_SHORT_FORMS = "Kubernetes";

interface NamedHost {
  readonly host: string;
  readonly ips: readonly string[];
  readonly fault: NameTable_DnsFault | undefined;
}

/**
 * The names that the mesh answers for, as the control plane's name table has them. Looked up by name for DNS, and by
 * address for connections to virtual IPs. Replaced whole by every new table.
 */
export class Names {
  readonly #namespace: string;
  #byName: ReadonlyMap<string, NamedHost> = new Map();
  #byAddress: ReadonlyMap<string, string> = new Map();

  /** `namespace` is where short names are at home. */
  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  /** How many spellings of names there are. */
  get size(): number {
    return this.#byName.size;
  }

  /** Addresses of a name as somebody wrote it, lower-case, without a final dot; undefined when the mesh has none such. */
  addressesOf(name: string): readonly string[] | undefined {
    return this.#byName.get(name)?.ips;
  }

  /** How lookups of a name, as `addressesOf` takes it, fail on purpose; undefined = they do not. */
  faultOf(name: string): NameTable_DnsFault | undefined {
    return this.#byName.get(name)?.fault;
  }

  /** The host in full that a spelling means; undefined when the mesh has none such. */
  hostNamed(name: string): string | undefined {
    return this.#byName.get(name)?.host;
  }

  /** The host in full that an address stands for. */
  hostOf(address: string): string | undefined {
    return this.#byAddress.get(address);
  }

  /** Takes a table, encoded. Throws `invalid` PROXY_NAME_TABLE, and what was there stays. */
  replace(bytes: Uint8Array): void {
    const byName = new Map<string, NamedHost>();
    const byAddress = new Map<string, string>();
    // Longer spellings are more precise: a host in full wins over what another host's short form happens to be.
    const short: [string, NamedHost][] = [];
    for (const [host, { ips, registry, shortname, namespace, fault }] of Object.entries(decode(bytes))) {
      const named = { host, ips, fault };
      byName.set(host, named);
      for (const ip of ips) if (!byAddress.has(ip)) byAddress.set(ip, host);
      if (registry !== WITH_SHORT_FORMS || shortname === "" || namespace === "") continue;
      short.push([`${shortname}.${namespace}.svc`, named], [`${shortname}.${namespace}`, named]);
      if (namespace === this.#namespace) short.push([shortname, named]);
    }
    for (const [name, named] of short) if (!byName.has(name)) byName.set(name, named);
    this.#byName = byName;
    this.#byAddress = byAddress;
  }

  clear(): void {
    this.#byName = new Map();
    this.#byAddress = new Map();
  }
}

function decode(bytes: Uint8Array) {
  try {
    return fromBinary(NameTableSchema, bytes).table;
  } catch (thrown) {
    throw new MeshError("invalid", "PROXY_NAME_TABLE", "the bytes are not a name table", { cause: thrown });
  }
}
