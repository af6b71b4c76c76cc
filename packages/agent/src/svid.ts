import { createPrivateKey, X509Certificate } from "node:crypto";

import { MeshError } from "@tulle/base";

import type { Svid } from "./contract.js";
import { readLeaf } from "./leaf.js";

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** Certificates of a PEM text, each a PEM text that ends in a newline. */
export function splitPem(pem: string): string[] {
  return (pem.match(PEM_CERTIFICATE) ?? []).map((block) => `${block}\n`);
}

/** The PEM texts joined, each certificate once. */
export function joinPem(pems: readonly string[]): string {
  return [...new Set(pems.flatMap(splitPem))].join("");
}

/** Key, chain and roots as they come from the authority or from disk. */
export interface SvidMaterial {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly trustBundlePem: string;
}

/**
 * Checks that key, chain and roots belong together and puts them into one {@link Svid}. Dates are not judged. Errors:
 * `invalid` AGENT_BAD_SVID.
 */
export function parseSvid(material: SvidMaterial): Svid {
  const { certificateChainPem, privateKeyPem, trustBundlePem } = material;
  let chain: X509Certificate[];
  let roots: X509Certificate[];
  let keyFits: boolean;
  try {
    chain = splitPem(certificateChainPem).map((pem) => new X509Certificate(pem));
    roots = splitPem(trustBundlePem).map((pem) => new X509Certificate(pem));
    keyFits = chain[0]?.checkPrivateKey(createPrivateKey(privateKeyPem)) ?? false;
  } catch (thrown) {
    throw bad("its certificates or key cannot be read", thrown);
  }
  const certificate = chain[0];
  const leaf = certificate === undefined ? undefined : readLeaf(certificate.raw);
  if (certificate === undefined || leaf === undefined) throw bad("its leaf names no workload");
  if (!keyFits) throw bad("its key is not the certificate's");
  if (!chainsUp(chain, roots)) throw bad("its chain does not lead to a trusted root");
  return {
    spiffeId: leaf.spiffeId,
    certificateChainPem,
    privateKeyPem,
    trustBundlePem,
    notBefore: leaf.notBefore,
    notAfter: leaf.notAfter,
    serialNumber: certificate.serialNumber,
  };
}

/** Whether the SVID's chain leads to one of the roots in `rootsPem`. */
export function isTrustedBy(svid: Svid, rootsPem: string): boolean {
  const parse = (pem: string): X509Certificate[] => splitPem(pem).map((block) => new X509Certificate(block));
  return chainsUp(parse(svid.certificateChainPem), parse(rootsPem));
}

/** Whether `chain` (leaf first) is signed link by link and by one of `roots`. */
function chainsUp(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): boolean {
  let below: X509Certificate | undefined;
  for (const certificate of chain) {
    if (below !== undefined && !signedBy(below, certificate)) return false;
    if (roots.some((root) => signedBy(certificate, root))) return true;
    below = certificate;
  }
  return false;
}

function signedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function bad(why: string, cause?: unknown): MeshError {
  return new MeshError("invalid", "AGENT_BAD_SVID", `not a usable identity: ${why}`, { cause });
}
