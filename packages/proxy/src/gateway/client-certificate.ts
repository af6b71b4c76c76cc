import { createHash, X509Certificate } from "node:crypto";
import type { PeerCertificate, TLSSocket } from "node:tls";

import { readCertificate, type CertificateFacts } from "@tulle/base/spiffe";
import type { ServerTls } from "@tulle/engine";

/** Why a client is not let in, or what the application is told of its certificate ("" = it has none). */
export type ClientVerdict = { readonly refused: string } | { readonly forwardedClientCert: string };

/** Judges a client after the handshake, which has verified its chain where a certificate is required. */
export function judgeClient(
  socket: Pick<TLSSocket, "authorized" | "authorizationError"> & { getPeerCertificate(): PeerCertificate },
  tls: Pick<ServerTls, "clients" | "names" | "spki" | "hashes">,
): ClientVerdict {
  if (tls.clients === "none") return { forwardedClientCert: "" };
  const { raw: der }: Partial<PeerCertificate> = socket.getPeerCertificate();
  if (der === undefined) {
    return tls.clients === "required" ? { refused: "no certificate" } : { forwardedClientCert: "" };
  }
  if (!socket.authorized && tls.clients === "unverified") return { forwardedClientCert: "" };
  if (!socket.authorized)
    return { refused: `the certificate is not trusted: ${String(socket.authorizationError)}` };
  const certificate = new X509Certificate(der);
  const hash = createHash("sha256").update(der).digest("hex");
  const named = readCertificate(der) ?? NAMELESS;
  if (tls.names.length > 0 && !hasName(named, tls.names))
    return { refused: "the certificate has none of the names that are let in" };
  if (
    tls.spki.length + tls.hashes.length > 0 &&
    !tls.hashes.includes(hash) &&
    !hasKey(certificate, tls.spki)
  ) {
    return { refused: "the certificate is none of those that are let in" };
  }
  return { forwardedClientCert: describe(certificate, named, hash) };
}

type Named = Pick<CertificateFacts, "uris" | "dnsNames">;

const NAMELESS: Named = { uris: [], dnsNames: [] };

/** Names are compared exactly: a wildcard in a client's certificate is nobody's name. */
function hasName({ uris, dnsNames }: Named, wanted: ServerTls["names"]): boolean {
  const hosts = dnsNames.map((name) => name.toLowerCase());
  return wanted.some(({ type, value }) =>
    type === "dns" ? hosts.includes(value.toLowerCase()) : type === "uri" && uris.includes(value),
  );
}

function hasKey({ publicKey }: X509Certificate, spki: readonly string[]): boolean {
  if (spki.length === 0) return false;
  const der = publicKey.export({ type: "spki", format: "der" });
  return spki.includes(createHash("sha256").update(der).digest("base64"));
}

/** Envoy's form of `x-forwarded-client-cert`: hash, subject, and the names that cannot be taken for more than one. */
function describe(
  // Node says so of an empty one, whatever its types say.
  { subject = "" }: { readonly subject?: string },
  { uris, dnsNames }: Named,
  hash: string,
): string {
  const parts = [`Hash=${hash}`, `Subject="${quoted(subject.split("\n").reverse().join(","))}"`];
  for (const uri of uris) if (PLAIN_NAME.test(uri)) parts.push(`URI=${uri}`);
  for (const name of dnsNames) if (PLAIN_NAME.test(name)) parts.push(`DNS=${name}`);
  return parts.join(";");
}

const PLAIN_NAME = /^[A-Za-z0-9._~:/?#@!$&'()*+=%-]+$/;

/** What could end the value, or a field of it, is left out: the rest still identifies the certificate. */
function quoted(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this takes out
  return text.replaceAll(/[\u0000-\u001f\u007f-\uffff]/g, "?").replaceAll(/[\\"]/g, "\\$&");
}
