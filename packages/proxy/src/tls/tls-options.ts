import { constants } from "node:crypto";
import type { SecureContextOptions } from "node:tls";

import type { TlsSettings } from "@tulle/engine";

/** Of TLS 1.3: OpenSSL lists them apart, and without them Node.js would take TLS 1.3 for unwanted. */
const TLS13_CIPHERS = ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"];

/** Suites of TLS 1.2 for whom nothing is said of: those with forward secrecy and authenticated encryption. */
export const SAFE_CIPHERS = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
];

/** Versions, ciphers and curves in the words of Node.js. No session is resumed: a resumed one skips verification. */
export function tlsOptions({ minVersion, maxVersion, ciphers, curves }: TlsSettings): SecureContextOptions {
  return {
    minVersion,
    maxVersion,
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    ...(ciphers.length > 0 && { ciphers: [...TLS13_CIPHERS, ...ciphers].join(":") }),
    ...(curves.length > 0 && { ecdhCurve: curves.join(":") }),
  };
}
