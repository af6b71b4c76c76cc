const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** Certificates of a PEM text, each a PEM text that ends in a newline. */
export function splitPem(pem: string): string[] {
  return (pem.match(PEM_CERTIFICATE) ?? []).map((block) => `${block}\n`);
}

/** The PEM texts joined, each certificate once. */
export function joinPem(pems: readonly string[]): string {
  return [...new Set(pems.flatMap(splitPem))].join("");
}

/** One certificate in DER as PEM. */
export function certificatePem(der: Uint8Array): string {
  return pemOf("CERTIFICATE", der);
}

/** One revocation list in DER as PEM. */
export function revocationListPem(der: Uint8Array): string {
  return pemOf("X509 CRL", der);
}

function pemOf(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

const PEM_REVOCATION_LIST = /-----BEGIN X509 CRL-----[A-Za-z0-9+/=\s]+-----END X509 CRL-----/g;

/** Revocation lists of a PEM text, each a PEM text that ends in a newline. */
export function splitRevocationLists(pem: string): string[] {
  return (pem.match(PEM_REVOCATION_LIST) ?? []).map((block) => `${block}\n`);
}

/** What one block of PEM encodes. */
export function derOfPem(block: string): Buffer {
  return Buffer.from(block.replace(/-----[^-]+-----/g, ""), "base64");
}
