import { bareAnswer, type DnsTransport } from "./answer.js";
import { CLASSIC_UDP_BYTES, RCODE, TYPE, type Rcode } from "./codes.js";
import { parseIpAddress } from "./ip-address.js";
import { PacketWriter } from "./packet-writer.js";
import type { Query } from "./query.js";
import { addressRecord } from "./records.js";

const FLAG = {
  response: 0x8000,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
} as const;
/** Fits every path unfragmented (the same limit as the control plane's DNS). */
const MAX_UDP_BYTES = 1232;
const MAX_TCP_BYTES = 65_535;

/**
 * Answers for a host with these addresses (literals) as a resolver would: A and AAAA of the asked family, ANY both.
 * Without any it is NODATA (RFC 2308 section 2.2): the host exists, so nobody should look elsewhere.
 */
export function hostAnswer(
  query: Query,
  addresses: readonly string[],
  ttlSeconds: number,
  transport: DnsTransport,
): Buffer {
  const limit =
    transport === "tcp" ? MAX_TCP_BYTES : Math.min(query.edns?.udpBytes ?? CLASSIC_UDP_BYTES, MAX_UDP_BYTES);
  const writer = new PacketWriter(limit, ttlSeconds, query.edns !== undefined);
  writer.writeQuestion(query.question);
  const records = addresses
    .flatMap((address) => parseIpAddress(address) ?? [])
    .map((address) => addressRecord(address))
    .filter(({ type }) => query.type === type || query.type === TYPE.ANY);
  let written = 0;
  for (const record of records) if (writer.writeRecord(record)) written++;
  if (query.edns !== undefined) writer.writeOpt(MAX_UDP_BYTES, 0, query.edns.dnssecOk);
  const flags = flagsOf(query, RCODE.NOERROR) | (written === records.length ? 0 : FLAG.truncated);
  return writer.finish(query.id, flags, [1, written, 0, query.edns === undefined ? 0 : 1]);
}

/** Tells a client that its query failed. With the query in hand its question is repeated, else the header is all. */
export function failureAnswer(query: Query, rcode: Rcode): Buffer {
  const answer = Buffer.concat([bareAnswer(query.id, 0, rcode), query.question]);
  answer.writeUInt16BE(flagsOf(query, rcode), 2);
  answer.writeUInt16BE(1, 4);
  return answer;
}

function flagsOf(query: Query, rcode: Rcode): number {
  const wished = query.recursionDesired ? FLAG.recursionDesired : 0;
  return FLAG.response | FLAG.recursionAvailable | wished | (rcode & 0xf);
}
