import { verify, type KeyObject } from "node:crypto";

import { DerError, DerReader, hex, readTime, Tag } from "./der.js";

/** A certificate revocation list of version 2 (RFC 5280 section 5). Whose it is, is told by who signed it. */
export interface RevocationList {
  /** When it was made, milliseconds since the epoch. */
  readonly thisUpdate: number;
  /** When its successor should be here; undefined = it does not say. */
  readonly nextUpdate: number | undefined;
  /** Serial numbers as {@link CertificateFacts.serialNumber} has them. */
  readonly serialNumbers: ReadonlySet<string>;
  /** Whether the owner of a key has signed it. */
  isSignedWith(publicKey: KeyObject): boolean;
}

/** Hash by the object identifier of the signature, as hexadecimal; null: the algorithm has its own. */
const SIGNATURES: ReadonlyMap<string, string | null> = new Map([
  ["2a8648ce3d040302", "sha256"],
  ["2a8648ce3d040303", "sha384"],
  ["2a8648ce3d040304", "sha512"],
  ["2a864886f70d01010b", "sha256"],
  ["2a864886f70d01010c", "sha384"],
  ["2a864886f70d01010d", "sha512"],
  ["2b6570", null],
]);
const MAX_LIST_BYTES = 4 * 1024 * 1024;
/** Written as 1. */
const VERSION_2 = "01";

/**
 * Reads a list from its DER; undefined when it is none, or one that may not be used by who does not understand all of it: a
 * critical extension (of deltas, of partial and indirect lists), or a signature of an algorithm that is not taken. Never
 * throws. The signature is not checked here.
 */
export function readRevocationList(der: Uint8Array): RevocationList | undefined {
  if (der.length > MAX_LIST_BYTES) return undefined;
  try {
    return read(der);
  } catch (thrown) {
    if (thrown instanceof DerError) return undefined;
    throw thrown;
  }
}

function read(der: Uint8Array): RevocationList {
  const outer = new DerReader(der);
  const whole = outer.read(Tag.sequence);
  outer.finish();
  const list = new DerReader(der, whole.start, whole.end);
  const toBeSigned = list.read(Tag.sequence);
  const algorithm = list.read(Tag.sequence);
  const bits = list.read(Tag.bitString);
  list.finish();
  const hash = SIGNATURES.get(hex(der, new DerReader(der, algorithm.start, algorithm.end).read(0x06)));
  if (hash === undefined) throw new DerError("a signature of an algorithm that is not taken");

  const tbs = new DerReader(der, toBeSigned.start, toBeSigned.end);
  if (hex(der, tbs.read(Tag.integer)) !== VERSION_2) throw new DerError("not of version 2");
  if (hex(der, tbs.read(Tag.sequence)) !== hex(der, algorithm)) throw new DerError("two algorithms");
  tbs.read(Tag.sequence);
  const thisUpdate = readTime(der, tbs.read());
  const isTime = tbs.peek() === Tag.utcTime || tbs.peek() === Tag.generalizedTime;
  const nextUpdate = isTime ? readTime(der, tbs.read()) : undefined;
  const serialNumbers = tbs.peek() === Tag.sequence ? entriesOf(tbs.enter(Tag.sequence)) : [];
  if (!tbs.done) refuseCritical(tbs.enter(0xa0).enter(Tag.sequence));
  tbs.finish();

  const signed = der.subarray(whole.start, toBeSigned.end);
  if (der[bits.start] !== 0) throw new DerError("a signature that does not end with a byte");
  const signature = der.subarray(bits.start + 1, bits.end);
  return {
    thisUpdate,
    nextUpdate,
    serialNumbers: new Set(serialNumbers),
    isSignedWith: (publicKey) => {
      try {
        return verify(hash, signed, publicKey, signature);
      } catch {
        // A key of another kind.
        return false;
      }
    },
  };
}

function entriesOf(entries: DerReader): string[] {
  const serialNumbers: string[] = [];
  while (!entries.done) {
    const entry = entries.enter(Tag.sequence);
    serialNumbers.push(hex(entries.bytes, entry.read(Tag.integer)));
    readTime(entries.bytes, entry.read());
    if (!entry.done) refuseCritical(entry.enter(Tag.sequence));
    entry.finish();
  }
  return serialNumbers;
}

/** None of the extensions that may be critical is known here. */
function refuseCritical(extensions: DerReader): void {
  while (!extensions.done) {
    const extension = extensions.enter(Tag.sequence);
    extension.read(Tag.objectIdentifier);
    if (extension.peek() === Tag.boolean && extensions.bytes[extension.read().start] !== 0)
      throw new DerError("a critical extension");
    extension.read(Tag.octetString);
    extension.finish();
  }
}
