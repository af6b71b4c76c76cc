import { jwksProblem, MAX_JWKS } from "@tulle/api";
import { MeshError } from "@tulle/base";
import type { KeySource } from "@tulle/translate";

/** Gets a text by its URL; rejects with a MeshError. */
export type FetchText = (url: string, maxBytes: number) => Promise<string>;

const MAX_DISCOVERY_BYTES = 65_536;

/**
 * Fetches an issuer's keys: from where its rule says, else from where its discovery document does (OpenID Connect Discovery
 * 1.0, section 4). Resolves to a set that was checked; rejects with a MeshError.
 */
export async function fetchKeys({ jwksUri, issuer }: KeySource, fetchText: FetchText): Promise<string> {
  const uri = jwksUri ?? (await discover(issuer, fetchText));
  const text = await fetchText(uri, MAX_JWKS);
  const problem = jwksProblem(text);
  if (problem !== undefined) throw unusable(`${uri}: what it serves ${problem}`);
  // In one form, so that white space is no change.
  return JSON.stringify(JSON.parse(text));
}

async function discover(issuer: string, fetchText: FetchText): Promise<string> {
  if (!/^https?:\/\//i.test(issuer)) {
    throw unusable(
      `the issuer ${issuer} is no URL, so nothing says where its keys are: give jwksUri or jwks`,
    );
  }
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  let document: unknown;
  try {
    document = JSON.parse(await fetchText(url, MAX_DISCOVERY_BYTES));
  } catch (thrown) {
    if (thrown instanceof MeshError) throw thrown;
    throw unusable(`${url}: what it serves is no JSON`);
  }
  const { issuer: named, jwks_uri: uri } = (document ?? {}) as Readonly<Record<string, unknown>>;
  // Section 4.3: a document that speaks for another issuer is not believed.
  if (named !== issuer) throw unusable(`${url}: it is not the document of ${issuer}`);
  if (typeof uri !== "string" || !/^https?:\/\//i.test(uri)) throw unusable(`${url}: it names no jwks_uri`);
  return uri;
}

function unusable(message: string): MeshError {
  return new MeshError("unavailable", "CONTROL_TOKEN_KEYS", message);
}
