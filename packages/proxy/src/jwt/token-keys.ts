import type * as jose from "jose";
import type { JSONWebKeySet, JWTVerifyOptions } from "jose";
import type { JwtFailure, JwtRule } from "@tulle/engine";

/** The library, which is loaded when it is needed. */
export type Jose = typeof jose;

/** Signatures by a key pair: whoever can verify one cannot make one. `none` and the HMAC family are not among them. */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];

/** The public keys of an issuer, and what its tokens are held against. */
export class TokenKeys {
  readonly #library: Jose;
  readonly #rule: JwtRule;
  readonly #keys: ReturnType<Jose["createLocalJWKSet"]> | undefined;

  constructor(library: Jose, rule: JwtRule) {
    this.#library = library;
    this.#rule = rule;
    try {
      this.#keys = library.createLocalJWKSet(JSON.parse(rule.jwks) as JSONWebKeySet);
    } catch {
      // The control plane has checked them; where they are broken all the same, no token is good.
      this.#keys = undefined;
    }
  }

  /** Verifies signature, dates, issuer and audience at `nowMs`. Undefined = the token is good. */
  async failureOf(token: string, nowMs: number): Promise<JwtFailure | undefined> {
    const keys = this.#keys;
    if (keys === undefined) return NO_KEY;
    const { jwtVerify, errors } = this.#library;
    const options = this.#options(nowMs);
    try {
      await jwtVerify(token, keys, options);
      return undefined;
    } catch (thrown) {
      if (!(thrown instanceof errors.JWKSMultipleMatchingKeys)) return this.#failure(thrown);
      // The token names no key: each that may be meant is tried.
      let failure: JwtFailure = NO_KEY;
      for await (const key of thrown) {
        try {
          await jwtVerify(token, key, options);
          return undefined;
        } catch (next) {
          failure = this.#failure(next);
          if (!(next instanceof errors.JWSSignatureVerificationFailed)) return failure;
        }
      }
      return failure;
    }
  }

  #options(nowMs: number): JWTVerifyOptions {
    const { issuer, audiences, clockSkewMs, requireExpiration } = this.#rule;
    return {
      algorithms: ALGORITHMS,
      currentDate: new Date(nowMs),
      clockTolerance: clockSkewMs / 1000,
      ...(issuer !== "" && { issuer }),
      ...(audiences.length > 0 && { audience: [...audiences] }),
      ...(requireExpiration && { requiredClaims: ["exp"] }),
    };
  }

  #failure(thrown: unknown): JwtFailure {
    const { errors } = this.#library;
    if (thrown instanceof errors.JWTExpired) return "Jwt is expired";
    if (thrown instanceof errors.JWTClaimValidationFailed) return CLAIMS.get(thrown.claim) ?? VERIFICATION;
    if (thrown instanceof errors.JWKSNoMatchingKey || thrown instanceof errors.JWKSInvalid) return NO_KEY;
    if (thrown instanceof errors.JOSEAlgNotAllowed || thrown instanceof errors.JOSENotSupported)
      return "Header alg is not supported";
    // Its signature is right.
    if (thrown instanceof errors.JWTInvalid) return "Jwt payload is an invalid JSON";
    return VERIFICATION;
  }
}

const NO_KEY: JwtFailure = "Jwks doesn't have key to match kid or alg from Jwt";
const VERIFICATION: JwtFailure = "Jwt verification fails";
const CLAIMS: ReadonlyMap<string, JwtFailure> = new Map([
  ["aud", "Audiences in Jwt are not allowed"],
  ["iss", "Jwt issuer is not configured"],
  ["nbf", "Jwt not yet valid"],
  ["exp", "Jwt has no expiration"],
]);
