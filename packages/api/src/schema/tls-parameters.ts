import { z } from "zod";
import { stringThat } from "./strings.js";

/** Suites of TLS 1.2 and before, by OpenSSL's names (Istio's list). */
const CIPHER_SUITES: ReadonlySet<string> = new Set([
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES128-SHA",
  "ECDHE-RSA-AES128-SHA",
  "ECDHE-ECDSA-AES256-SHA",
  "ECDHE-RSA-AES256-SHA",
  "AES128-GCM-SHA256",
  "AES256-GCM-SHA384",
  "AES128-SHA",
  "AES256-SHA",
]);

export const cipherSuite = stringThat(
  (value) => CIPHER_SUITES.has(value),
  'an OpenSSL name such as "ECDHE-ECDSA-AES128-GCM-SHA256"',
);

/** Groups that keys are agreed on in, of those that Istio names. */
export const ecdhCurve = z.enum(["X25519", "P-256", "P-384", "P-521"]);
