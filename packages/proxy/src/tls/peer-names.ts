import { X509Certificate } from "node:crypto";

import { readCertificate } from "@tulle/base/spiffe";
import type { PeerName } from "@tulle/engine";

/** No name in the subject counts, and a wildcard stands for a whole label (RFC 9525). */
const HOST_RULES = { subject: "never", partialWildcards: false } as const;

/**
 * Why a server's certificate (DER) is not one for any of `names`; undefined when it is. DNS names are compared as RFC 9525
 * says, wildcards of the certificate included; URIs and addresses exactly.
 */
export function nameMismatch(der: Buffer, names: readonly PeerName[]): string | undefined {
  const certificate = new X509Certificate(der);
  const fits = names.some(({ type, value }) => {
    switch (type) {
      case "dns":
        return certificate.checkHost(value, HOST_RULES) !== undefined;
      case "ip":
        return certificate.checkIP(value) !== undefined;
      case "uri":
        return readCertificate(der)?.uris.includes(value) === true;
    }
  });
  if (fits) return undefined;
  const wanted = names.map(({ value }) => value).slice(0, 8);
  return `the server's certificate is not for ${wanted.join(" or ")}`;
}
