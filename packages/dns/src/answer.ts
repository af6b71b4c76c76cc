import { CLASS_ANY, CLASS_IN, CLASSIC_UDP_BYTES, RCODE, type Rcode } from "./codes.js";
import type { DnsDirectory } from "./directory.js";
import { parseLookup } from "./lookup.js";
import { PacketWriter } from "./packet-writer.js";
import { isTransfer, parseQuery, type Query } from "./query.js";
import { wireName } from "./records.js";
import { resolve, type Resolution } from "./resolve.js";

export interface DnsOptions {
  /** Consul's zone; default `consul`. */
  readonly domain?: string;
  /** Kubernetes' zone; default `cluster.local`. */
  readonly clusterDomain?: string;
  /** Default `dc1`. */
  readonly datacenter?: string;
  /** Seconds that resolvers may keep an answer; default 0: a failed instance must vanish at once. */
  readonly ttlSeconds?: number;
  /** Largest answer over UDP, whatever the client offers; default 1232 bytes, which no common path fragments. */
  readonly maxUdpBytes?: number;
  /** Name of the node that answers, for NS and SOA; default `tulle`. */
  readonly nodeName?: string;
  /** SOA serial; default 1. */
  readonly serial?: number;
  /** Numbers in [0, 1), for the order of answers. */
  readonly random: () => number;
}

/** How a query came: answers over UDP are cut to what the client takes, with the TC bit. */
export type DnsTransport = "udp" | "tcp";

/** Answers one query, or gives undefined when none is due (the bytes are no query). Never throws. */
export type DnsAnswerer = (query: Uint8Array, transport: DnsTransport) => Buffer | undefined;

const FLAG = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
} as const;
const MAX_TCP_BYTES = 65_535;
const DEFAULT_MAX_UDP_BYTES = 1232;

/**
 * Answers queries from `directory` as an authoritative server of Consul's and Kubernetes' zones: A, AAAA, SRV, ANY,
 * SOA, NS, TXT and CNAME. Other zones are REFUSED; nothing is forwarded.
 */
export function createDnsAnswerer(directory: DnsDirectory, options: DnsOptions): DnsAnswerer {
  const domain = (options.domain ?? "consul").toLowerCase();
  const datacenter = (options.datacenter ?? "dc1").toLowerCase();
  const ttlSeconds = options.ttlSeconds ?? 0;
  const maxUdpBytes = Math.max(options.maxUdpBytes ?? DEFAULT_MAX_UDP_BYTES, CLASSIC_UDP_BYTES);
  const resolveOptions = {
    domain,
    clusterDomain: (options.clusterDomain ?? "cluster.local").toLowerCase(),
    datacenter,
    nameServer:
      wireName(`${options.nodeName ?? "tulle"}.node.${datacenter}.${domain}`.toLowerCase()) ?? domain,
    serial: options.serial ?? 1,
    minimumSeconds: ttlSeconds,
    random: options.random,
  };

  return (bytes, transport) => {
    const parsed = parseQuery(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    if (parsed.outcome === "drop") return undefined;
    if (parsed.outcome === "refused") return bareAnswer(parsed.id, parsed.opcode, parsed.rcode);
    const { query } = parsed;
    const limit =
      transport === "tcp" ? MAX_TCP_BYTES : Math.min(query.edns?.udpBytes ?? CLASSIC_UDP_BYTES, maxUdpBytes);
    return encode(query, decide(query), limit);
  };

  function decide(query: Query): Resolution {
    if (query.edns !== undefined && query.edns.version !== 0) return refusal(RCODE.BADVERS);
    if (query.class !== CLASS_IN && query.class !== CLASS_ANY) return refusal(RCODE.REFUSED);
    if (isTransfer(query.type)) return refusal(RCODE.REFUSED);
    return resolve(parseLookup(query.labels, resolveOptions), query.type, directory, resolveOptions);
  }

  function encode(query: Query, resolution: Resolution, limitBytes: number): Buffer {
    const { rcode } = resolution;
    const writer = new PacketWriter(limitBytes, ttlSeconds, query.edns !== undefined);
    writer.writeQuestion(query.question);
    const answers = countFitting(writer, resolution.answers);
    const authorities = countFitting(writer, resolution.authorities);
    const complete = answers === resolution.answers.length && authorities === resolution.authorities.length;
    // Additional records are a courtesy: leaving some out is not truncation (RFC 2181 section 9).
    let additionals = complete ? countFitting(writer, resolution.additionals) : 0;
    if (query.edns !== undefined) {
      writer.writeOpt(maxUdpBytes, rcode >> 4, query.edns.dnssecOk);
      additionals += 1;
    }
    const authoritative = rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN;
    const flags =
      FLAG.response |
      (authoritative ? FLAG.authoritative : 0) |
      (complete ? 0 : FLAG.truncated) |
      (query.recursionDesired ? FLAG.recursionDesired : 0) |
      (rcode & 0xf);
    return writer.finish(query.id, flags, [1, answers, authorities, additionals]);
  }
}

function countFitting(writer: PacketWriter, records: Resolution["answers"]): number {
  let count = 0;
  for (const record of records) {
    if (!writer.writeRecord(record)) break;
    count += 1;
  }
  return count;
}

function refusal(rcode: Rcode): Resolution {
  return { rcode, answers: [], authorities: [], additionals: [] };
}

/** A header alone: for what cannot be read far enough to repeat its question. */
export function bareAnswer(id: number, opcode: number, rcode: Rcode): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16BE(id, 0);
  bytes.writeUInt16BE(FLAG.response | (opcode << 11) | (rcode & 0xf), 2);
  return bytes;
}
