import { existsSync } from "node:fs";

/** Where operating systems keep the authorities that they trust, in the order in which they are looked for. */
const PATHS = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cacert.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/**
 * The file with the authorities that the operating system trusts; undefined when there is none, and Node.js' own list is
 * all there is.
 */
export function systemRootsFile(): string | undefined {
  return PATHS.find((path) => existsSync(path));
}
