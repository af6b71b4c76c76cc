import { createPrivateKey, X509Certificate } from "node:crypto";

import { MeshError } from "@tulle/base";
import {
  parseCertificates,
  readLeaf,
  splitPem,
  TrustBundles,
  verifySvid,
  type Leaf,
} from "@tulle/base/spiffe";

import type { Svid } from "./contract.js";

/** Key, chain and roots as they come from the authority or from disk. */
export interface SvidMaterial {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly trustBundlePem: string;
  readonly federatedBundles?: Readonly<Record<string, string>>;
  readonly revocationListsPem?: string;
  readonly graceMs?: number;
}

/**
 * Checks that key, chain and roots belong together and puts them into one {@link Svid}. Dates are not judged. Errors:
 * `invalid` AGENT_BAD_SVID.
 */
export function parseSvid(material: SvidMaterial): Svid {
  const {
    certificateChainPem,
    privateKeyPem,
    trustBundlePem,
    federatedBundles,
    revocationListsPem,
    graceMs,
  } = material;
  let chain: X509Certificate[];
  let keyFits: boolean;
  try {
    chain = splitPem(certificateChainPem).map((pem) => new X509Certificate(pem));
    keyFits = chain[0]?.checkPrivateKey(createPrivateKey(privateKeyPem)) ?? false;
  } catch (thrown) {
    throw bad("its certificates or key cannot be read", thrown);
  }
  const certificate = chain[0];
  const leaf = certificate === undefined ? undefined : readLeaf(certificate.raw);
  if (certificate === undefined || leaf === undefined) throw bad("its leaf names no workload");
  if (!keyFits) throw bad("its key is not the certificate's");
  if (!leadsUp(leaf, certificateChainPem, trustBundlePem)) {
    throw bad("its chain does not lead to a trusted root");
  }
  return {
    spiffeId: leaf.spiffeId,
    certificateChainPem,
    privateKeyPem,
    trustBundlePem,
    ...(federatedBundles !== undefined && { federatedBundles }),
    ...(revocationListsPem !== undefined && { revocationListsPem }),
    ...(graceMs !== undefined && { graceMs }),
    notBefore: leaf.notBefore,
    notAfter: leaf.notAfter,
    serialNumber: certificate.serialNumber,
  };
}

/** Whether the SVID's chain leads to one of the roots in `rootsPem`. */
export function isTrustedBy(svid: Svid, rootsPem: string): boolean {
  const leaf = readLeaf(splitCertificates(svid.certificateChainPem)[0] ?? new Uint8Array());
  return leaf !== undefined && leadsUp(leaf, svid.certificateChainPem, rootsPem);
}

/** Dates do not count: what has expired can still be renewed. */
function leadsUp(leaf: Leaf, chainPem: string, rootsPem: string): boolean {
  return verifySvid(splitCertificates(chainPem), {
    nowMs: leaf.notAfter - 1,
    graceMs: Number.POSITIVE_INFINITY,
    bundles: new TrustBundles({ [leaf.trustDomain]: rootsPem }),
  }).ok;
}

/** Certificates of a PEM text in DER. */
function splitCertificates(pem: string): Uint8Array[] {
  return parseCertificates(pem).map(({ raw }) => raw);
}

function bad(why: string, cause?: unknown): MeshError {
  return new MeshError("invalid", "AGENT_BAD_SVID", `not a usable identity: ${why}`, { cause });
}
