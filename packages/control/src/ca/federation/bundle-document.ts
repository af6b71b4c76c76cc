import { MeshError } from "@tulle/base";
import { certificatePem, parseCertificate, parseCertificates } from "@tulle/base/spiffe";

/** A SPIFFE bundle (SPIFFE_Trust_Domain_and_Bundle.md section 4). */
export interface BundleDocument {
  /** PEM. */
  readonly x509Pem: string;
  /** Keys of JWT-SVIDs: a JWK Set, JSON. */
  readonly jwks: string;
  /** Seconds until it should be fetched again; undefined = not said. */
  readonly refreshHint?: number;
  /** Grows with every change; undefined = not said. */
  readonly sequence?: number;
}

const MAX_KEYS = 100;

/** The bundle as its endpoint serves it: a JWK Set in which every key says what it is for. */
export function formatBundle({ x509Pem, jwks, refreshHint, sequence }: BundleDocument): string {
  const roots = parseCertificates(x509Pem).map((certificate) => ({
    ...certificate.publicKey.export({ format: "jwk" }),
    use: "x509-svid",
    x5c: [certificate.raw.toString("base64")],
  }));
  const { keys = [] } = JSON.parse(jwks) as { readonly keys?: readonly object[] };
  return JSON.stringify({
    keys: [...roots, ...keys.map((key) => ({ ...key, use: "jwt-svid" }))],
    ...(sequence !== undefined && { spiffe_sequence: sequence }),
    ...(refreshHint !== undefined && { spiffe_refresh_hint: refreshHint }),
  });
}

/**
 * Reads a bundle. Keys without or with another `use` are passed over, as the specification has it. Errors: `invalid`
 * CA_BUNDLE for what is no bundle, or one without a root.
 */
export function parseBundle(text: string): BundleDocument {
  let document: Record<string, unknown>;
  try {
    document = JSON.parse(text) as Record<string, unknown>;
  } catch (thrown) {
    throw wrong("it is no JSON", thrown);
  }
  const keys: unknown = typeof document === "object" && document !== null ? document["keys"] : undefined;
  if (!Array.isArray(keys)) throw wrong("it has no list of keys");
  if (keys.length > MAX_KEYS) throw wrong(`it has more than ${MAX_KEYS} keys`);
  const records = keys.filter(
    (key): key is Record<string, unknown> => typeof key === "object" && key !== null,
  );
  const roots = records.filter(({ use }) => use === "x509-svid").map(rootOf);
  if (roots.length === 0) throw wrong("it has no root (use x509-svid)");
  const jwts = records.filter(({ use, kid }) => use === "jwt-svid" && typeof kid === "string" && kid !== "");
  return {
    x509Pem: roots.join(""),
    jwks: JSON.stringify({ keys: jwts.map(publicPart) }),
    ...numberAt(document, "spiffe_refresh_hint", "refreshHint"),
    ...numberAt(document, "spiffe_sequence", "sequence"),
  };
}

function rootOf({ x5c }: Record<string, unknown>): string {
  // Exactly one certificate stands there, the root itself.
  const [encoded] = Array.isArray(x5c) && x5c.length === 1 ? (x5c as unknown[]) : [];
  const certificate =
    typeof encoded === "string" ? parseCertificate(Buffer.from(encoded, "base64")) : undefined;
  if (certificate === undefined || !certificate.ca)
    throw wrong("one of its roots is no authority's certificate");
  return certificatePem(certificate.raw);
}

const PUBLIC = ["kty", "kid", "alg", "use", "crv", "x", "y", "n", "e"];

function publicPart(key: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(key).filter(([name]) => PUBLIC.includes(name)));
}

function numberAt(document: Record<string, unknown>, name: string, as: "refreshHint" | "sequence") {
  const value = document[name];
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? { [as]: value } : {};
}

function wrong(why: string, cause?: unknown): MeshError {
  return new MeshError("invalid", "CA_BUNDLE", `not a SPIFFE bundle: ${why}`, { cause });
}
