import { parseSpiffeId, type SpiffeId } from "@tulle/base";
import { DerError, DerReader, Tag, type DerValue } from "./der.js";

/** What identity checks need of an end-entity certificate. */
export interface Leaf extends SpiffeId {
  readonly spiffeId: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

// Contents of the object identifiers 2.5.29.{15,17,19}, as hexadecimal.
const KEY_USAGE = "551d0f";
const SUBJECT_ALT_NAME = "551d11";
const BASIC_CONSTRAINTS = "551d13";
/** GeneralName's choice 6, primitive. */
const URI_NAME = 0x86;
/** keyCertSign and cRLSign in the first byte of a key usage. */
const SIGNING_USAGES = 0x06;
const MAX_CERTIFICATE_BYTES = 64 * 1024;

/**
 * Reads an X.509-SVID's leaf from its DER, or undefined when it is none: there must be exactly one URI among its
 * alternative names, it must be a workload's SPIFFE id, and the certificate may not be an authority's (X.509-SVID
 * sections 2 to 4). Signatures are not checked here. Names are taken from the encoding, because texts that are made of
 * them can be forged by what a name contains.
 */
export function readLeaf(der: Uint8Array): Leaf | undefined {
  if (der.length > MAX_CERTIFICATE_BYTES) return undefined;
  try {
    return read(der);
  } catch (thrown) {
    if (thrown instanceof DerError) return undefined;
    throw thrown;
  }
}

/** The URIs among a certificate's alternative names; none when it cannot be read. */
export function uriNames(der: Uint8Array): readonly string[] {
  try {
    const names = readTbs(der)?.extensions.get(SUBJECT_ALT_NAME);
    return names === undefined ? [] : urisOf(new DerReader(der, names.start, names.end));
  } catch (thrown) {
    if (thrown instanceof DerError) return [];
    throw thrown;
  }
}

/** What is signed of a certificate, as far as it is read here. */
interface Tbs {
  readonly notBefore: number;
  readonly notAfter: number;
  readonly extensions: ReadonlyMap<string, DerValue>;
}

function readTbs(der: Uint8Array): Tbs | undefined {
  const outer = new DerReader(der);
  const certificate = outer.enter(Tag.sequence);
  outer.finish();
  const tbs = certificate.enter(Tag.sequence);
  // Extensions exist in version 3 only, which is written as 2.
  const version = tbs.enter(0xa0);
  const number = version.read(Tag.integer);
  if (number.end - number.start !== 1 || der[number.start] !== 2) return undefined;
  tbs.read(Tag.integer);
  tbs.read(Tag.sequence);
  tbs.read(Tag.sequence);
  const validity = tbs.enter(Tag.sequence);
  const notBefore = timeOf(der, validity.read());
  const notAfter = timeOf(der, validity.read());
  tbs.read(Tag.sequence);
  tbs.read(Tag.sequence);
  while (tbs.peek() === 0x81 || tbs.peek() === 0x82) tbs.read();

  return { notBefore, notAfter, extensions: extensionsOf(tbs.enter(0xa3).enter(Tag.sequence)) };
}

function read(der: Uint8Array): Leaf | undefined {
  const tbs = readTbs(der);
  if (tbs === undefined) return undefined;
  const { notBefore, notAfter, extensions } = tbs;
  const names = extensions.get(SUBJECT_ALT_NAME);
  if (names === undefined || isAuthority(der, extensions)) return undefined;
  const spiffeId = onlyUri(new DerReader(der, names.start, names.end));
  const id = spiffeId === undefined ? undefined : parseSpiffeId(spiffeId);
  return spiffeId === undefined || id === undefined ? undefined : { ...id, spiffeId, notBefore, notAfter };
}

/** Content of each extension by its identifier. RFC 5280 section 4.2 forbids the same one twice. */
function extensionsOf(reader: DerReader): ReadonlyMap<string, DerValue> {
  const found = new Map<string, DerValue>();
  while (!reader.done) {
    const extension = reader.enter(Tag.sequence);
    const identifier = hex(reader.bytes, extension.read(Tag.objectIdentifier));
    if (extension.peek() === Tag.boolean) extension.read();
    if (found.has(identifier)) throw new DerError("extension given twice");
    found.set(identifier, extension.read(Tag.octetString));
    extension.finish();
  }
  return found;
}

function onlyUri(reader: DerReader): string | undefined {
  const uris = urisOf(reader);
  return uris.length === 1 ? uris[0] : undefined;
}

function urisOf(reader: DerReader): readonly string[] {
  const names = reader.enter(Tag.sequence);
  reader.finish();
  const uris: string[] = [];
  while (!names.done) {
    const name = names.read();
    if (name.tag !== URI_NAME) continue;
    uris.push(Buffer.from(names.bytes.subarray(name.start, name.end)).toString("latin1"));
  }
  return uris;
}

function isAuthority(der: Uint8Array, extensions: ReadonlyMap<string, DerValue>): boolean {
  const constraints = extensions.get(BASIC_CONSTRAINTS);
  if (constraints !== undefined) {
    const content = new DerReader(der, constraints.start, constraints.end).enter(Tag.sequence);
    if (content.peek() === Tag.boolean && der[content.read().start] !== 0) return true;
  }
  const usage = extensions.get(KEY_USAGE);
  if (usage === undefined) return false;
  const bits = new DerReader(der, usage.start, usage.end).read(Tag.bitString);
  return bits.end - bits.start > 1 && ((der[bits.start + 1] ?? 0) & SIGNING_USAGES) !== 0;
}

/** RFC 5280 section 4.1.2.5: seconds given, zone Z, two-digit years up to 2049. */
function timeOf(der: Uint8Array, value: DerValue): number {
  const text = Buffer.from(der.subarray(value.start, value.end)).toString("latin1");
  const digits = value.tag === Tag.utcTime ? 2 : value.tag === Tag.generalizedTime ? 4 : 0;
  const match =
    digits === 0
      ? null
      : new RegExp(`^(\\d{${digits}})(\\d\\d)(\\d\\d)(\\d\\d)(\\d\\d)(\\d\\d)Z$`).exec(text);
  if (match === null) throw new DerError("date of an unknown form");
  const [year = 0, month = 0, ...rest] = match.slice(1).map(Number);
  const fullYear = digits === 4 ? year : year + (year < 50 ? 2000 : 1900);
  const [day = 0, hour = 0, minute = 0, second = 0] = rest;
  return Date.UTC(fullYear, month - 1, day, hour, minute, second);
}

function hex(bytes: Uint8Array, value: DerValue): string {
  return Buffer.from(bytes.subarray(value.start, value.end)).toString("hex");
}
