import { X509Certificate } from "node:crypto";
import { connect, type DetailedPeerCertificate } from "node:tls";

import { MeshError } from "@tulle/base";

const TIMEOUT_MS = 10_000;
const MAX_CHAIN = 10;

/**
 * The root with that SHA-256 fingerprint out of the chain that an HTTPS server shows, PEM: it is then what the real
 * connection is verified against. Nothing is sent to the server. Rejects with `denied` CLI_CA_FINGERPRINT when it is not
 * among them, `unavailable` CLIENT_UNREACHABLE.
 */
export async function fetchPinnedRoot(server: URL, fingerprint: string): Promise<string> {
  const chain = await shownChain(server);
  const root = chain.find(
    (certificate) => certificate.fingerprint256.replaceAll(":", "").toLowerCase() === fingerprint,
  );
  // A leaf proves nothing of what it did not sign.
  if (root?.ca === true) return root.toString();
  throw new MeshError(
    "denied",
    "CLI_CA_FINGERPRINT",
    `${server.host} shows no root with that fingerprint: it is another control plane, or somebody in between`,
  );
}

function shownChain(server: URL): Promise<readonly X509Certificate[]> {
  return new Promise((resolve, reject) => {
    const host = server.hostname.replace(/^\[|\]$/g, "");
    const socket = connect({
      host,
      port: Number(server.port || 443),
      ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
      // Only to read what it shows; the fingerprint is the check.
      rejectUnauthorized: false,
    });
    const fail = (cause: Error): void => {
      socket.destroy();
      const message = `no control plane with HTTPS at ${server.origin}`;
      reject(new MeshError("unavailable", "CLIENT_UNREACHABLE", message, { cause }));
    };
    socket.setTimeout(TIMEOUT_MS, () => fail(new Error("no answer")));
    socket.on("error", fail);
    socket.once("secureConnect", () => {
      const chain = certificatesOf(socket.getPeerCertificate(true));
      socket.destroy();
      resolve(chain);
    });
  });
}

function certificatesOf(leaf: DetailedPeerCertificate): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  let certificate: DetailedPeerCertificate | undefined = leaf;
  while (certificate?.raw !== undefined && chain.length < MAX_CHAIN) {
    chain.push(new X509Certificate(certificate.raw));
    // A root is its own issuer.
    if (certificate.issuerCertificate === certificate) break;
    certificate = certificate.issuerCertificate;
  }
  return chain;
}
