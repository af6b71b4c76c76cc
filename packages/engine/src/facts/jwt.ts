import type { JsonObject } from "@bufbuild/protobuf";
import type { NeedBase } from "./contract.js";

/** Asks whether tokens (JWT, RFC 7519) are good. */
export interface JwtNeed extends NeedBase {
  readonly kind: "jwt";
  /** At least one. */
  readonly checks: readonly JwtCheck[];
}

/** One token, held against what one issuer's tokens must be. */
export interface JwtCheck {
  readonly rule: JwtRule;
  readonly token: string;
}

/** What a good token is. One object for as long as the configuration says the same. */
export interface JwtRule {
  /** `iss` must be it, exactly; "" = any. */
  readonly issuer: string;
  /** `aud` must have one of them, exactly; empty = any. */
  readonly audiences: readonly string[];
  /** Public keys that signatures are verified with (a JWK Set, RFC 7517), as JSON. Without a key that fits no token is good. */
  readonly jwks: string;
  /** How far clocks may differ. */
  readonly clockSkewMs: number;
  /** Whether a token without `exp` is refused. */
  readonly requireExpiration: boolean;
}

/** What was found of each check, in their order. */
export interface JwtFact {
  readonly kind: "jwt";
  readonly verdicts: readonly JwtVerdict[];
}

export type JwtVerdict =
  /** `payload`: as it was signed. `encodedPayload`: the same as the token has it (base64url without padding). */
  | { readonly status: "good"; readonly payload: JsonObject; readonly encodedPayload: string }
  /** It is of another issuer. */
  | { readonly status: "other-issuer" }
  /** `reason`: Envoy's words. */
  | { readonly status: "bad"; readonly reason: JwtFailure };

/** Why a token may not be good, in Envoy's words. None quotes the token. */
export const JWT_FAILURES = [
  "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
  "Jwt header is an invalid JSON",
  "Jwt payload is an invalid JSON",
  "Jwt is too large",
  "Header crit is not supported",
  "Header alg is not supported",
  "Jwks doesn't have key to match kid or alg from Jwt",
  "Jwks remote fetch is failed",
  "Jwt verification fails",
  "Jwt is expired",
  "Jwt not yet valid",
  "Jwt has no expiration",
  "Audiences in Jwt are not allowed",
  "Jwt issuer is not configured",
  "More than one Jwt was sent",
] as const;

export type JwtFailure = (typeof JWT_FAILURES)[number];
