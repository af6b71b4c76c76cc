import type { JwtRuleSpec } from "@tulle/api";

/** Where an issuer's keys are to be had. */
export interface KeySource {
  /** Undefined: where the issuer's OpenID Connect discovery document says. */
  readonly jwksUri: string | undefined;
  readonly issuer: string;
}

/** Where the keys of a rule without keys of its own are. */
export function keySourceOf({ jwksUri, issuer }: Pick<JwtRuleSpec, "jwksUri" | "issuer">): KeySource {
  return { jwksUri, issuer };
}

/** Names a source: equal for rules that have their keys from the same place. */
export function keySourceId({ jwksUri, issuer }: KeySource): string {
  return jwksUri ?? `discovery of ${issuer}`;
}

/** What a resource depends on that holds an issuer's keys. */
export function keysDependency(source: KeySource): string {
  return `keys:${keySourceId(source)}`;
}
