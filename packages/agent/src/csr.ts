import { generateKeyPairSync, sign } from "node:crypto";

import { encodeDer, encodeObjectIdentifier, Tag } from "@tulle/base/spiffe";

const ECDSA_WITH_SHA256 = encodeObjectIdentifier("1.2.840.10045.4.3.2");
const EXTENSION_REQUEST = encodeObjectIdentifier("1.2.840.113549.1.9.14");
const SUBJECT_ALT_NAME = encodeObjectIdentifier("2.5.29.17");

/** A new key and the request for its certificate. The key never leaves the workload. */
export interface SigningRequest {
  /** PKCS#10 (RFC 2986), PEM. */
  readonly csrPem: string;
  /** PKCS#8, PEM. */
  readonly privateKeyPem: string;
}

/** Makes a P-256 key and a certificate request with an empty subject and `spiffeId` as its only alternative name. */
export function createSigningRequest(spiffeId: string): SigningRequest {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const names = encodeDer(Tag.sequence, encodeDer(0x86, Buffer.from(spiffeId, "latin1")));
  const extension = encodeDer(
    Tag.sequence,
    SUBJECT_ALT_NAME,
    // Critical, as the subject is empty.
    encodeDer(Tag.boolean, Buffer.from([0xff])),
    encodeDer(Tag.octetString, names),
  );
  const attribute = encodeDer(
    Tag.sequence,
    EXTENSION_REQUEST,
    encodeDer(Tag.set, encodeDer(Tag.sequence, extension)),
  );
  const info = encodeDer(
    Tag.sequence,
    encodeDer(Tag.integer, Buffer.from([0])),
    encodeDer(Tag.sequence),
    publicKey.export({ type: "spki", format: "der" }),
    encodeDer(0xa0, attribute),
  );
  const request = encodeDer(
    Tag.sequence,
    info,
    encodeDer(Tag.sequence, ECDSA_WITH_SHA256),
    // No unused bits.
    encodeDer(Tag.bitString, Buffer.from([0]), sign("sha256", info, privateKey)),
  );
  return {
    csrPem: toPem("CERTIFICATE REQUEST", request),
    privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function toPem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
