import { DerError, DerReader, hex, readTime, Tag, type DerValue } from "./der.js";

/** What checks need of a certificate, read from its DER. Signatures are not checked here. */
export interface CertificateFacts {
  /** Lower-case hexadecimal of its encoding. */
  readonly serialNumber: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Basic constraints say that it is an authority's. */
  readonly ca: boolean;
  /** Authorities below it that are allowed in a chain, besides the leaf; undefined = any number. */
  readonly pathLength: number | undefined;
  /** The first byte of the key usage, see {@link KeyUsage}; undefined = none given. */
  readonly keyUsage: number | undefined;
  /** Contents of the object identifiers as hexadecimal; undefined = none given. */
  readonly extendedKeyUsages: readonly string[] | undefined;
  /**
   * URIs and DNS names among the alternative names, byte by byte as Latin-1. Texts that list all names, as Node's
   * `subjectAltName` does, can be forged by what one name contains.
   */
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** Whether it limits the names below it, or has a critical extension that is not known here. */
  readonly constrained: boolean;
  /** Why its key or signature is too weak; undefined = it is not. */
  readonly weakness: string | undefined;
}

/** Bits of {@link CertificateFacts.keyUsage}. */
export const KeyUsage = { digitalSignature: 0x80, keyCertSign: 0x04, crlSign: 0x02 } as const;

/** Contents of the extended key usages of RFC 5280 section 4.2.1.12, as hexadecimal. */
export const ExtendedKeyUsage = {
  any: "551d2500",
  serverAuth: "2b06010505070301",
  clientAuth: "2b06010505070302",
} as const;

// Contents of the object identifiers 2.5.29.{15,17,19,30,37}, as hexadecimal.
const KEY_USAGE = "551d0f";
const SUBJECT_ALT_NAME = "551d11";
const BASIC_CONSTRAINTS = "551d13";
const NAME_CONSTRAINTS = "551d1e";
const EXTENDED_KEY_USAGE = "551d25";
const KNOWN = new Set([KEY_USAGE, SUBJECT_ALT_NAME, BASIC_CONSTRAINTS, NAME_CONSTRAINTS, EXTENDED_KEY_USAGE]);
/** GeneralName's choices 2 and 6, primitive. */
const DNS_NAME = 0x82;
const URI_NAME = 0x86;

/** ECDSA and RSA with SHA-256, SHA-384 and SHA-512, RSASSA-PSS, Ed25519. */
const STRONG_SIGNATURES = new Set([
  "2a8648ce3d040302",
  "2a8648ce3d040303",
  "2a8648ce3d040304",
  "2a864886f70d01010b",
  "2a864886f70d01010c",
  "2a864886f70d01010d",
  "2a864886f70d01010a",
  "2b6570",
]);
const RSA_KEY = "2a864886f70d010101";
const EC_KEY = "2a8648ce3d0201";
const ED25519_KEY = "2b6570";
/** P-256, P-384, P-521. */
const CURVES = new Set(["2a8648ce3d030107", "2b81040022", "2b81040023"]);
const MIN_RSA_BITS = 2048;
/** Verifying with a longer key would cost whoever checks dearly. */
const MAX_RSA_BITS = 8192;

const MAX_CERTIFICATE_BYTES = 64 * 1024;
const MAX_NAMES = 1000;

/** Reads a certificate of version 3 from its DER; undefined when it is none, or of a form that is not used. Never throws. */
export function readCertificate(der: Uint8Array): CertificateFacts | undefined {
  if (der.length > MAX_CERTIFICATE_BYTES) return undefined;
  try {
    return read(der);
  } catch (thrown) {
    if (thrown instanceof DerError) return undefined;
    throw thrown;
  }
}

function read(der: Uint8Array): CertificateFacts {
  const outer = new DerReader(der);
  const certificate = outer.enter(Tag.sequence);
  outer.finish();
  const tbs = certificate.enter(Tag.sequence);
  const signature = hex(der, certificate.enter(Tag.sequence).read(Tag.objectIdentifier));
  // Extensions exist in version 3 only, which is written as 2.
  const version = tbs.enter(0xa0).read(Tag.integer);
  if (version.end - version.start !== 1 || der[version.start] !== 2) throw new DerError("not of version 3");
  const serialNumber = hex(der, tbs.read(Tag.integer));
  tbs.read(Tag.sequence);
  tbs.read(Tag.sequence);
  const validity = tbs.enter(Tag.sequence);
  const notBefore = readTime(der, validity.read());
  const notAfter = readTime(der, validity.read());
  tbs.read(Tag.sequence);
  const weakness = STRONG_SIGNATURES.has(signature)
    ? weaknessOfKey(tbs.enter(Tag.sequence))
    : "its signature is of an algorithm that is not taken";
  while (tbs.peek() === 0x81 || tbs.peek() === 0x82) tbs.read();

  const extensions = tbs.done ? NO_EXTENSIONS : extensionsOf(tbs.enter(0xa3).enter(Tag.sequence));
  const at = (identifier: string): DerReader | undefined => {
    const value = extensions.contents.get(identifier);
    return value === undefined ? undefined : new DerReader(der, value.start, value.end);
  };
  return {
    serialNumber,
    notBefore,
    notAfter,
    ...basicConstraints(at(BASIC_CONSTRAINTS)),
    keyUsage: keyUsageOf(at(KEY_USAGE)),
    extendedKeyUsages: extendedKeyUsagesOf(at(EXTENDED_KEY_USAGE)),
    ...namesOf(at(SUBJECT_ALT_NAME)),
    constrained: extensions.unknownCritical || extensions.contents.has(NAME_CONSTRAINTS),
    weakness,
  };
}

interface Extensions {
  readonly contents: ReadonlyMap<string, DerValue>;
  readonly unknownCritical: boolean;
}

const NO_EXTENSIONS: Extensions = { contents: new Map(), unknownCritical: false };

/** Content of each extension by its identifier. RFC 5280 section 4.2 forbids the same one twice. */
function extensionsOf(reader: DerReader): Extensions {
  const contents = new Map<string, DerValue>();
  let unknownCritical = false;
  while (!reader.done) {
    const extension = reader.enter(Tag.sequence);
    const identifier = hex(reader.bytes, extension.read(Tag.objectIdentifier));
    let critical = false;
    if (extension.peek() === Tag.boolean) critical = reader.bytes[extension.read().start] !== 0;
    if (contents.has(identifier)) throw new DerError("extension given twice");
    contents.set(identifier, extension.read(Tag.octetString));
    extension.finish();
    if (critical && !KNOWN.has(identifier)) unknownCritical = true;
  }
  return { contents, unknownCritical };
}

function basicConstraints(reader: DerReader | undefined): Pick<CertificateFacts, "ca" | "pathLength"> {
  if (reader === undefined) return { ca: false, pathLength: undefined };
  const content = reader.enter(Tag.sequence);
  reader.finish();
  const { bytes } = reader;
  const ca = content.peek() === Tag.boolean && bytes[content.read().start] !== 0;
  if (content.done) return { ca, pathLength: undefined };
  const length = content.read(Tag.integer);
  content.finish();
  // Longer or negative numbers are nobody's honest limit: nothing may be below.
  const first = bytes[length.start] ?? 0;
  return { ca, pathLength: length.end - length.start === 1 && first < 0x80 ? first : 0 };
}

function keyUsageOf(reader: DerReader | undefined): number | undefined {
  if (reader === undefined) return undefined;
  const bits = reader.read(Tag.bitString);
  reader.finish();
  return bits.end - bits.start > 1 ? (reader.bytes[bits.start + 1] ?? 0) : 0;
}

function extendedKeyUsagesOf(reader: DerReader | undefined): readonly string[] | undefined {
  if (reader === undefined) return undefined;
  const content = reader.enter(Tag.sequence);
  reader.finish();
  const usages: string[] = [];
  while (!content.done) usages.push(hex(reader.bytes, content.read(Tag.objectIdentifier)));
  return usages;
}

function namesOf(reader: DerReader | undefined): Pick<CertificateFacts, "uris" | "dnsNames"> {
  const uris: string[] = [];
  const dnsNames: string[] = [];
  if (reader === undefined) return { uris, dnsNames };
  const names = reader.enter(Tag.sequence);
  reader.finish();
  for (let count = 0; !names.done; count++) {
    if (count === MAX_NAMES) throw new DerError("too many names");
    const name = names.read();
    const found = name.tag === URI_NAME ? uris : name.tag === DNS_NAME ? dnsNames : undefined;
    found?.push(Buffer.from(names.bytes.subarray(name.start, name.end)).toString("latin1"));
  }
  return { uris, dnsNames };
}

/** Of a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7). */
function weaknessOfKey(key: DerReader): string | undefined {
  const algorithm = key.enter(Tag.sequence);
  const kind = hex(key.bytes, algorithm.read(Tag.objectIdentifier));
  if (kind === ED25519_KEY) return undefined;
  if (kind === EC_KEY) {
    const curve = algorithm.peek() === Tag.objectIdentifier ? hex(key.bytes, algorithm.read()) : "";
    return CURVES.has(curve) ? undefined : "its key is of a curve that is not taken";
  }
  if (kind !== RSA_KEY) return "its key is of an algorithm that is not taken";
  const bits = key.read(Tag.bitString);
  // The first byte counts unused bits, of which there are none.
  const modulus = new DerReader(key.bytes, bits.start + 1, bits.end).enter(Tag.sequence).read(Tag.integer);
  const leading = key.bytes[modulus.start] === 0 ? 1 : 0;
  const size = (modulus.end - modulus.start - leading) * 8;
  return size >= MIN_RSA_BITS && size <= MAX_RSA_BITS
    ? undefined
    : `its RSA key has ${size} bits, not ${MIN_RSA_BITS} to ${MAX_RSA_BITS}`;
}
