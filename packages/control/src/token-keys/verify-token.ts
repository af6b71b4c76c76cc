import type { Clock } from "@tulle/base";
import {
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  jwtVerify,
  type JSONWebKeySet,
  type JWTPayload,
} from "jose";

/** No `none`, no shared secrets. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
const MAX_TOKEN_LENGTH = 16 * 1024;
const CLOCK_TOLERANCE_S = 30;
const JWT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** What a token of somebody else's must be. */
export interface TokenRule {
  /** `iss` of it. */
  readonly issuer: string;
  /** It must be for one of these. */
  readonly audiences: readonly string[];
}

/** Whether a bearer token has the form of a JWT; tokens of the control plane have no dots. */
export function isJwt(token: string): boolean {
  return JWT.test(token);
}

/** What a token says of itself, which nobody has vouched for. Throws an Error that says what is wrong with it. */
export function tokenHead(token: string): {
  readonly issuer: string | undefined;
  readonly kid: string | undefined;
} {
  if (token.length > MAX_TOKEN_LENGTH) throw new Error("it is too long");
  try {
    return { issuer: decodeJwt(token).iss, kid: decodeProtectedHeader(token).kid };
  } catch {
    throw new Error("it cannot be read");
  }
}

/** The claims of a token that these keys vouch for, that is for us and that holds now. Rejects with an Error. */
export async function verifyToken(
  token: string,
  keys: JSONWebKeySet,
  { issuer, audiences }: TokenRule,
  clock: Clock,
): Promise<JWTPayload> {
  const { payload } = await jwtVerify(token, createLocalJWKSet(keys), {
    issuer,
    audience: [...audiences],
    algorithms: ALGORITHMS,
    clockTolerance: CLOCK_TOLERANCE_S,
    currentDate: new Date(clock.now()),
    requiredClaims: ["exp"],
  });
  return payload;
}

/** A claim by its name, or by a path of names with slashes between. */
export function claimAt(payload: JWTPayload, path: string): unknown {
  if (Object.hasOwn(payload, path)) return payload[path];
  let value: unknown = payload;
  for (const name of path.split("/")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

/** A claim's text: numbers and truth values count as theirs. Undefined for anything else. */
export function claimText(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : undefined;
}
