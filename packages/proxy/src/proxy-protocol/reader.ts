import { V1_SIGNATURE, V2_SIGNATURE, type ProxyHeader } from "./header.js";
import { readV1 } from "./read-v1.js";
import { readV2 } from "./read-v2.js";

const NOTHING = Buffer.alloc(0);

/** How a connection begins. */
export interface Beginning {
  /** Undefined: with something else than a PROXY header. */
  readonly header: ProxyHeader | undefined;
  /** What was read behind the header, or all when there is none. */
  readonly rest: Buffer;
}

/**
 * Finds out whether a connection begins with a PROXY header, and reads it. Bytes in, at most one answer out, the same
 * however the bytes come in pieces. It never holds more than a header may be long and the piece that came last.
 */
export class ProxyHeaderReader {
  #held: Buffer = NOTHING;

  /** Undefined: more is needed. Throws `invalid` PROXY_PROTOCOL_MALFORMED; the connection is to be closed then. */
  push(piece: Buffer): Beginning | undefined {
    const bytes = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    this.#held = bytes;
    const v1 = begins(bytes, V1_SIGNATURE);
    const v2 = begins(bytes, V2_SIGNATURE);
    if (v1 === undefined || v2 === undefined) return undefined;
    if (!v1 && !v2) return { header: undefined, rest: bytes };
    const read = v1 ? readV1(bytes) : readV2(bytes);
    return read === undefined ? undefined : { header: read.header, rest: bytes.subarray(read.length) };
  }
}

/** Undefined as long as it may. */
function begins(bytes: Buffer, signature: Buffer): boolean | undefined {
  const length = Math.min(bytes.length, signature.length);
  if (bytes.compare(signature, 0, length, 0, length) !== 0) return false;
  return length === signature.length ? true : undefined;
}
