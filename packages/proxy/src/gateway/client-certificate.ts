import { createHash, X509Certificate } from "node:crypto";
import type { PeerCertificate, TLSSocket } from "node:tls";

import type { ServerTls } from "@tulle/engine";

/** Why a client is not let in, or what the application is told of its certificate ("" = it has none). */
export type ClientVerdict = { readonly refused: string } | { readonly forwardedClientCert: string };

/** Judges a client after the handshake, which has verified its chain where a certificate is required. */
export function judgeClient(socket: TLSSocket, tls: ServerTls): ClientVerdict {
  if (tls.clients === "none") return { forwardedClientCert: "" };
  const { raw: der }: Partial<PeerCertificate> = socket.getPeerCertificate();
  if (der === undefined) {
    return tls.clients === "optional" ? { forwardedClientCert: "" } : { refused: "no certificate" };
  }
  if (!socket.authorized)
    return { refused: `the certificate is not trusted: ${String(socket.authorizationError)}` };
  const certificate = new X509Certificate(der);
  const hash = createHash("sha256").update(der).digest("hex");
  if (tls.names.length > 0 && !hasName(certificate, tls.names))
    return { refused: "the certificate has none of the names that are let in" };
  if (
    tls.spki.length + tls.hashes.length > 0 &&
    !tls.hashes.includes(hash) &&
    !hasKey(certificate, tls.spki)
  ) {
    return { refused: "the certificate is none of those that are let in" };
  }
  return { forwardedClientCert: describe(certificate, hash) };
}

/** Names are compared exactly: a wildcard in a client's certificate is nobody's name. */
function hasName(certificate: X509Certificate, wanted: ServerTls["names"]): boolean {
  const names = alternativeNames(certificate);
  return wanted.some(({ type, value }) =>
    names.some(([of, name]) =>
      type === "dns"
        ? of === "DNS" && name.toLowerCase() === value.toLowerCase()
        : of.toLowerCase() === type && name === value,
    ),
  );
}

function hasKey({ publicKey }: X509Certificate, spki: readonly string[]): boolean {
  if (spki.length === 0) return false;
  const der = publicKey.export({ type: "spki", format: "der" });
  return spki.includes(createHash("sha256").update(der).digest("base64"));
}

/** Envoy's form of `x-forwarded-client-cert`: hash, subject, and the names of the certificate. */
function describe(certificate: X509Certificate, hash: string): string {
  const subject = certificate.subject.split("\n").reverse().join(",");
  const parts = [`Hash=${hash}`, `Subject="${quoted(subject)}"`];
  for (const [type, name] of alternativeNames(certificate)) parts.push(`${type}=${name}`);
  return parts.join(";");
}

/** What could end the value, or a field of it, is left out: the rest still identifies the certificate. */
function quoted(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this takes out
  return text.replaceAll(/[\u0000-\u001f\u007f-\uffff]/g, "?").replaceAll(/[\\"]/g, "\\$&");
}

function alternativeNames({ subjectAltName = "" }: X509Certificate): readonly (readonly [string, string])[] {
  return subjectAltName.split(", ").flatMap((entry) => {
    const [, type = "", name = ""] = /^(URI|DNS):([A-Za-z0-9._~:/?#@!$&'()*+=%-]+)$/.exec(entry) ?? [];
    return type === "" ? [] : [[type, name] as const];
  });
}
