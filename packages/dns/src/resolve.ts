import { RCODE, TYPE, type Rcode } from "./codes.js";
import type { DnsDirectory, DnsInstance } from "./directory.js";
import { parseIpAddress } from "./ip-address.js";
import type { Lookup, Zones } from "./lookup.js";
import {
  addressRecord,
  cnameRecord,
  nsRecord,
  soaRecord,
  srvRecord,
  txtRecord,
  wireName,
  type ResourceRecord,
  type SoaTimes,
} from "./records.js";

/** What an answer consists of, before it is put into bytes. */
export interface Resolution {
  readonly rcode: Rcode;
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
}

export interface ResolveOptions extends Zones, SoaTimes {
  /** Full name of the server itself, the target of NS records. */
  readonly nameServer: string;
  /** Numbers in [0, 1): answers come in random order, so that clients that take the first one spread. */
  readonly random: () => number;
}

/** Answers one question about our zones. Services without a healthy instance do not exist, as in Consul. */
export function resolve(
  lookup: Lookup,
  type: number,
  directory: DnsDirectory,
  options: ResolveOptions,
): Resolution {
  switch (lookup.kind) {
    case "foreign":
      return { rcode: RCODE.REFUSED, answers: [], authorities: [], additionals: [] };
    case "unknown":
      return negative(RCODE.NXDOMAIN, lookup.zone, options);
    case "empty":
      return negative(RCODE.NOERROR, lookup.zone, options);
    case "apex":
      return positive(lookup.zone, options, apexRecords(lookup.zone, type, options));
    case "address":
      return positive(lookup.zone, options, wanted(type, [addressRecord(lookup.address)]));
    case "node":
      return resolveNode(lookup, type, directory, options);
    case "service":
      return resolveService(lookup, type, directory, options);
  }
}

function resolveService(
  lookup: Extract<Lookup, { kind: "service" }>,
  type: number,
  directory: DnsDirectory,
  options: ResolveOptions,
): Resolution {
  const { zone, namespace, name, tag, portName } = lookup;
  const instances = (directory.service(namespace, name) ?? []).filter(
    (instance) =>
      (tag === undefined || instance.tags.some((candidate) => candidate.toLowerCase() === tag)) &&
      (portName === undefined || instance.portName === portName),
  );
  if (instances.length === 0) return negative(RCODE.NXDOMAIN, zone, options);
  const shuffled = shuffle(instances, options.random);
  const answers = [...wanted(type, hostRecords(shuffled.map((instance) => instance.host)))];
  const additionals: ResourceRecord[] = [];
  if (type === TYPE.SRV || type === TYPE.ANY) addServers(shuffled, options, answers, additionals);
  return positive(zone, options, answers, additionals);
}

/** SRV for each instance, and the addresses of their targets (RFC 2782: spares the client a second question). */
function addServers(
  instances: readonly DnsInstance[],
  options: ResolveOptions,
  answers: ResourceRecord[],
  additionals: ResourceRecord[],
): void {
  const servers = new Set<string>();
  const targets = new Set<string>();
  for (const { host, port, weight } of instances) {
    const address = parseIpAddress(host);
    const target =
      address === undefined
        ? wireName(host)
        : `${address.toString("hex")}.addr.${options.datacenter}.${options.domain}`;
    if (target === undefined || servers.has(`${target} ${port}`)) continue;
    servers.add(`${target} ${port}`);
    answers.push(srvRecord(target, port, weight));
    if (address !== undefined && !targets.has(target)) additionals.push(addressRecord(address, target));
    targets.add(target);
  }
}

function resolveNode(
  lookup: Extract<Lookup, { kind: "node" }>,
  type: number,
  directory: DnsDirectory,
  options: ResolveOptions,
): Resolution {
  const node = directory.node(lookup.name);
  if (node === undefined) return negative(RCODE.NXDOMAIN, lookup.zone, options);
  const texts = Object.entries(node.meta).map(([key, value]) => txtRecord(`${key}=${value}`));
  return positive(lookup.zone, options, wanted(type, [...hostRecords([node.host]), ...texts]));
}

/** Each address once. Host names become one CNAME, and only where there is no address: RFC 1034 section 3.6.2. */
function hostRecords(hosts: readonly string[]): ResourceRecord[] {
  const records: ResourceRecord[] = [];
  let alias: string | undefined;
  for (const host of new Set(hosts)) {
    const address = parseIpAddress(host);
    if (address === undefined) alias ??= wireName(host);
    else records.push(addressRecord(address));
  }
  return records.length === 0 && alias !== undefined ? [cnameRecord(alias)] : records;
}

/** Records of the asked type. A CNAME answers every type but SRV, which has its own targets. */
function wanted(type: number, records: readonly ResourceRecord[]): readonly ResourceRecord[] {
  if (type === TYPE.ANY) return records;
  return records.filter(
    (record) => record.type === type || (record.type === TYPE.CNAME && type !== TYPE.SRV),
  );
}

function apexRecords(zone: string, type: number, options: ResolveOptions): readonly ResourceRecord[] {
  return wanted(type, [soaRecord(zone, options.nameServer, options), nsRecord(options.nameServer)]);
}

/** NOERROR; without a record of the asked type that is NODATA, which carries the SOA (RFC 2308 section 2.2). */
function positive(
  zone: string,
  options: ResolveOptions,
  answers: readonly ResourceRecord[],
  additionals: readonly ResourceRecord[] = [],
): Resolution {
  if (answers.length === 0) return negative(RCODE.NOERROR, zone, options);
  return { rcode: RCODE.NOERROR, answers, authorities: [], additionals };
}

function negative(rcode: Rcode, zone: string, options: ResolveOptions): Resolution {
  return { rcode, answers: [], authorities: [soaRecord(zone, options.nameServer, options)], additionals: [] };
}

/** Fisher and Yates: every order is equally likely. */
function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const swapped = out[i] as T;
    out[i] = out[j] as T;
    out[j] = swapped;
  }
  return out;
}
