import "reflect-metadata";
import { createPublicKey, type KeyObject } from "node:crypto";

import * as x509 from "@peculiar/x509";
import { MeshError } from "@tulle/base";

/** Largest request taken, characters of PEM. One for an RSA 8192 key has about 3,000. */
export const MAX_CSR_LENGTH = 16 * 1024;

const SUBJECT_ALT_NAME_OID = "2.5.29.17";
const ONE_PEM_BLOCK =
  /^\s*-----BEGIN CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE REQUEST-----\s*$/;
const HASHES = new Set(["SHA-256", "SHA-384", "SHA-512"]);

/** What the authority takes from a request: its public key and nothing else. */
export interface RequestedKey {
  /** SubjectPublicKeyInfo, DER, in the form that OpenSSL writes. */
  readonly spki: Buffer;
  readonly type: "ec" | "rsa";
}

/**
 * Checks a PKCS#10 request (RFC 2986) of a caller that has proved to be `spiffeId`. The request may name no one but
 * the caller, must prove possession of its key by its signature, and the key must be P-256, P-384 or RSA of 2048 to
 * 8192 bits. Errors: `invalid` CA_CSR_…, `denied` CA_CSR_OTHER_IDENTITY.
 */
export async function readSigningRequest(pem: string, spiffeId: string): Promise<RequestedKey> {
  if (pem.length > MAX_CSR_LENGTH) {
    throw new MeshError("invalid", "CA_CSR_TOO_LARGE", `the CSR is longer than ${MAX_CSR_LENGTH} characters`);
  }
  const base64 = ONE_PEM_BLOCK.exec(pem)?.[1];
  if (base64 === undefined) throw malformed("it must be exactly one PEM block CERTIFICATE REQUEST");
  const der = Buffer.from(base64, "base64");
  if (encodedLength(der) !== der.length) throw malformed("its DER does not end where it says");

  let request: x509.Pkcs10CertificateRequest;
  let key: KeyObject;
  try {
    request = new x509.Pkcs10CertificateRequest(der);
    key = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: "der", type: "spki" });
  } catch (thrown) {
    throw malformed("it is not a PKCS#10 request with a public key", thrown);
  }
  // Before the signature: verifying with an oversized key would cost the authority dearly.
  const type = acceptedKeyType(key);
  checkNames(request, spiffeId);
  if (!(await signatureHolds(request))) {
    throw new MeshError(
      "invalid",
      "CA_CSR_SIGNATURE",
      "the CSR is not signed with its own key (SHA-256 or better)",
    );
  }
  return { spki: key.export({ type: "spki", format: "der" }), type };
}

function acceptedKeyType(key: KeyObject): RequestedKey["type"] {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === "ec") {
    if (details?.namedCurve === "prime256v1" || details?.namedCurve === "secp384r1") return "ec";
  } else if (key.asymmetricKeyType === "rsa") {
    const bits = details?.modulusLength ?? 0;
    const exponent = details?.publicExponent ?? 0n;
    if (bits >= 2048 && bits <= 8192 && exponent >= 65_537n && exponent <= 0xffff_ffffn) return "rsa";
  }
  throw new MeshError(
    "invalid",
    "CA_CSR_KEY",
    "the CSR's key must be P-256, P-384 or RSA of 2048 to 8192 bits",
  );
}

function checkNames(request: x509.Pkcs10CertificateRequest, spiffeId: string): void {
  let names: readonly x509.GeneralName[];
  try {
    const extensions = request.getExtensions(SUBJECT_ALT_NAME_OID);
    if (extensions.length === 0) return;
    names = extensions.flatMap(
      (extension) => new x509.SubjectAlternativeNameExtension(extension.rawData).names.items,
    );
  } catch (thrown) {
    throw malformed("its alternative names cannot be read", thrown);
  }
  const [name] = names;
  if (names.length === 1 && name?.type === "url" && name.value === spiffeId) return;
  throw new MeshError(
    "denied",
    "CA_CSR_OTHER_IDENTITY",
    `the CSR names somebody else than its sender; leave its alternative names out or ask for ${spiffeId}`,
  );
}

async function signatureHolds(request: x509.Pkcs10CertificateRequest): Promise<boolean> {
  try {
    return HASHES.has(request.signatureAlgorithm.hash.name) && (await request.verify());
  } catch {
    return false;
  }
}

/** Length of a DER value with its header, or -1: more bytes than that would be trailing data. */
function encodedLength(der: Buffer): number {
  const first = der[1];
  if (der[0] !== 0x30 || first === undefined) return -1;
  if (first < 0x80) return 2 + first;
  const size = first & 0x7f;
  if (size === 0 || size > 3 || der.length < 2 + size) return -1;
  return 2 + size + der.readUIntBE(2, size);
}

function malformed(why: string, cause?: unknown): MeshError {
  return new MeshError("invalid", "CA_CSR_MALFORMED", `the CSR cannot be read: ${why}`, { cause });
}
