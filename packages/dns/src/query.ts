import packet from "dns-packet";
import { CLASSIC_UDP_BYTES, RCODE, TYPE, type Rcode } from "./codes.js";

/** EDNS(0) of a query (RFC 6891). */
export interface Edns {
  /** The largest answer that the client takes over UDP, bytes; at least 512. */
  readonly udpBytes: number;
  readonly version: number;
  readonly dnssecOk: boolean;
}

/** A well-formed query with one question. */
export interface Query {
  readonly id: number;
  readonly recursionDesired: boolean;
  /** The question as it came, spelling included: answers repeat it byte for byte. */
  readonly question: Buffer;
  /** The name's labels in lower case, leftmost first; empty for the root. */
  readonly labels: readonly string[];
  readonly type: number;
  readonly class: number;
  readonly edns: Edns | undefined;
}

/** `drop`: no answer is due. `refused`: answer with this code and nothing else. */
export type ParsedQuery =
  | { readonly outcome: "query"; readonly query: Query }
  | { readonly outcome: "refused"; readonly id: number; readonly opcode: number; readonly rcode: Rcode }
  | { readonly outcome: "drop" };

const HEADER_BYTES = 12;
/** More records than this beside the question and it is no query that we know of. */
const MAX_EXTRA_RECORDS = 8;

/** Reads a query (RFC 1035 section 4.1). Never throws. Answers and what is no header are dropped. */
export function parseQuery(bytes: Buffer): ParsedQuery {
  if (bytes.length < HEADER_BYTES) return { outcome: "drop" };
  const flags = bytes.readUInt16BE(2);
  // Answering an answer could make two servers talk forever.
  if ((flags & 0x8000) !== 0) return { outcome: "drop" };
  const id = bytes.readUInt16BE(0);
  const opcode = (flags >> 11) & 0xf;
  if (opcode !== 0) return { outcome: "refused", id, opcode, rcode: RCODE.NOTIMP };
  const malformed = { outcome: "refused", id, opcode, rcode: RCODE.FORMERR } as const;
  if (bytes.readUInt16BE(4) !== 1) return malformed;
  const name = parseQuestionName(bytes);
  if (name === undefined || name.end + 4 > bytes.length) return malformed;
  const extra = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10);
  const edns = parseEdns(bytes, name.end + 4, extra);
  if (edns === "malformed") return malformed;
  return {
    outcome: "query",
    query: {
      id,
      recursionDesired: (flags & 0x0100) !== 0,
      question: bytes.subarray(HEADER_BYTES, name.end + 4),
      labels: name.labels,
      type: bytes.readUInt16BE(name.end),
      class: bytes.readUInt16BE(name.end + 2),
      edns,
    },
  };
}

/** The first name of a packet has nothing before it to point to, so compression is an error there. */
function parseQuestionName(bytes: Buffer): { labels: string[]; end: number } | undefined {
  const labels: string[] = [];
  let offset = HEADER_BYTES;
  for (;;) {
    const length = bytes[offset];
    if (length === undefined || length > 63) return undefined;
    offset += 1;
    if (length === 0) break;
    if (offset + length > bytes.length || offset + length - HEADER_BYTES > 254) return undefined;
    labels.push(bytes.toString("utf8", offset, offset + length).toLowerCase());
    offset += length;
  }
  return { labels, end: offset };
}

function parseEdns(bytes: Buffer, start: number, count: number): Edns | undefined | "malformed" {
  if (count > MAX_EXTRA_RECORDS) return "malformed";
  let edns: Edns | undefined;
  let offset = start;
  try {
    for (let i = 0; i < count; i++) {
      const record = packet.answer.decode(bytes, offset);
      offset += packet.answer.decode.bytes;
      if (offset > bytes.length) return "malformed";
      if (record.type !== "OPT") continue;
      // RFC 6891 section 6.1.1: one OPT at most, of the root's name.
      if (edns !== undefined || record.name !== ".") return "malformed";
      edns = {
        udpBytes: Math.max(record.udpPayloadSize ?? 0, CLASSIC_UDP_BYTES),
        version: record.ednsVersion ?? 0,
        dnssecOk: record.flag_do ?? false,
      };
    }
  } catch {
    return "malformed";
  }
  return edns;
}

/** Whether a type asks for a whole zone, which is never given. */
export function isTransfer(type: number): boolean {
  return type === TYPE.AXFR || type === TYPE.IXFR;
}
