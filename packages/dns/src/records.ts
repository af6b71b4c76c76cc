import packet from "dns-packet";
import { TYPE } from "./codes.js";

/** A record to answer with. `owner` undefined = the question's own name. */
export interface ResourceRecord {
  readonly owner: string | undefined;
  readonly type: number;
  /** Encoded length and RDATA. */
  readonly data: Buffer;
  /** SRV: the target, whose place in RDATA later owners may point to. */
  readonly target?: string;
}

export interface SoaTimes {
  readonly serial: number;
  /** Seconds that a resolver may keep a negative answer (RFC 2308). */
  readonly minimumSeconds: number;
}

/** A or AAAA, by the address' length: 4 or 16 bytes. */
export function addressRecord(address: Buffer, owner?: string): ResourceRecord {
  const type = address.length === 4 ? TYPE.A : TYPE.AAAA;
  return { owner, type, data: packet.unknown.encode(address) };
}

/** SRV (RFC 2782); all targets have the same priority, their weights differ. `target` must be a name for the wire. */
export function srvRecord(target: string, port: number, weight: number): ResourceRecord {
  return {
    owner: undefined,
    type: TYPE.SRV,
    data: packet.srv.encode({ priority: 1, weight, port, target }),
    target,
  };
}

export function cnameRecord(target: string): ResourceRecord {
  return { owner: undefined, type: TYPE.CNAME, data: packet.cname.encode(target) };
}

export function nsRecord(nameServer: string): ResourceRecord {
  return { owner: undefined, type: TYPE.NS, data: packet.ns.encode(nameServer) };
}

/** One TXT record; texts beyond 255 bytes are cut. */
export function txtRecord(text: string): ResourceRecord {
  let cut = Buffer.from(text).subarray(0, 255).toString();
  // Cutting inside a character adds a replacement character, which is longer than what it replaces.
  while (Buffer.byteLength(cut) > 255) cut = cut.slice(0, -1);
  return { owner: undefined, type: TYPE.TXT, data: packet.txt.encode([cut]) };
}

/** SOA of a zone; it goes with negative answers (owner = the zone) and answers SOA questions. */
export function soaRecord(
  zone: string,
  nameServer: string,
  { serial, minimumSeconds }: SoaTimes,
): ResourceRecord {
  const data = packet.soa.encode({
    mname: nameServer,
    rname: `hostmaster.${zone}`,
    serial,
    refresh: 3600,
    retry: 600,
    expire: 86_400,
    minimum: minimumSeconds,
  });
  return { owner: zone, type: TYPE.SOA, data };
}

/** `text` without its final dot when it can be a name in a packet (RFC 1035 section 2.3.4), else undefined. */
export function wireName(text: string): string | undefined {
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  if (name.length === 0 || Buffer.byteLength(name) > 253) return undefined;
  const fits = name.split(".").every((label) => label.length > 0 && Buffer.byteLength(label) <= 63);
  return fits ? name : undefined;
}
