import { isFields } from "../schema/struct.js";

/** Longest set of keys, characters. */
export const MAX_JWKS = 1_048_576;
/** Members that only the owner of a key may have (RFC 7518 section 6). */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/** Why a text is not a set of public keys (RFC 7517 section 5); undefined when it is. Never quotes it: it may be a secret. */
export function jwksProblem(text: string): string | undefined {
  if (text.length > MAX_JWKS) return `is longer than ${MAX_JWKS} characters`;
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    return "is no JSON";
  }
  if (!isFields(set) || !Array.isArray(set["keys"])) return 'must be a JWK Set: an object with "keys"';
  for (const [index, key] of (set["keys"] as readonly unknown[]).entries()) {
    if (!isFields(key) || typeof key["kty"] !== "string") return `keys[${index}] has no kty`;
    if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(key, member)))
      return `keys[${index}] is not a public key: everybody who reads this could make tokens`;
  }
  return undefined;
}
