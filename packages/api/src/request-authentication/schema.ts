import { z } from "zod";
import { targetReference, targetRule } from "../authorization-policy/targets.js";
import { positiveDuration } from "../schema/durations.js";
import { matchLabelsSelector } from "../schema/labels.js";
import { nonEmpty, stringThat, text } from "../schema/strings.js";
import { isFields, struct, structsOf, type Rule } from "../schema/struct.js";
import { jwksProblem } from "./jwks.js";
import type { RequestAuthenticationSpec } from "./type.js";

/** More are no configuration but a database. */
const MAX_RULES = 64;
const MAX_ITEMS = 64;

const fieldName = stringThat(
  (value) => value.length <= 256 && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value),
  "the name of a header",
);
const cookieName = stringThat(
  (value) => value.length <= 256 && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value),
  "the name of a cookie",
);
const keysUri = stringThat(isHttpUrl, "a URL with http or https, without user and fragment");

function isHttpUrl(value: string): boolean {
  return value.length <= 2048 && /^https?:\/\/[^\s/?#@]+(?:[/?][^\s#]*)?$/i.test(value);
}

function listOf<T extends z.ZodType>(item: T) {
  return z.array(item).max(MAX_ITEMS, `must have at most ${MAX_ITEMS} items`).exactOptional();
}

/** Keys come from one place, and must be keys. */
const keys: Rule = (fields, report) => {
  const { jwks, jwksUri } = fields;
  if (jwks !== undefined && jwksUri !== undefined) report(["jwksUri"], "cannot stand together with jwks");
  if (typeof jwks !== "string") return;
  const problem = jwksProblem(jwks);
  if (problem !== undefined) report(["jwks"], problem);
};

/** Fields that make a request what it is are no place for claims. */
const RESERVED = [
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "te",
  "upgrade",
  "x-forwarded-client-cert",
];

const outputs: Rule = (fields, report) => {
  const seen = new Set<string>();
  const look = (name: unknown, path: readonly (string | number)[]): void => {
    if (typeof name !== "string") return;
    const lower = name.toLowerCase();
    if (RESERVED.includes(lower)) report(path, `${name} cannot carry what a token says`);
    else if (seen.has(lower)) report(path, `${name} is written already`);
    seen.add(lower);
  };
  look(fields["outputPayloadToHeader"], ["outputPayloadToHeader"]);
  for (const [index, one] of structsOf(fields["outputClaimToHeaders"]))
    if (isFields(one)) look(one["header"], ["outputClaimToHeaders", index, "header"]);
};

const jwtRule = struct(
  {
    issuer: nonEmpty,
    audiences: listOf(nonEmpty),
    jwksUri: keysUri.exactOptional(),
    jwks: text.exactOptional(),
    fromHeaders: listOf(struct({ name: fieldName, prefix: text.exactOptional() })),
    fromParams: listOf(nonEmpty),
    fromCookies: listOf(cookieName),
    outputPayloadToHeader: fieldName.exactOptional(),
    outputClaimToHeaders: listOf(struct({ header: fieldName, claim: nonEmpty })),
    forwardOriginalToken: z.boolean().exactOptional(),
    timeout: positiveDuration.exactOptional(),
    spaceDelimitedClaims: listOf(nonEmpty),
  },
  keys,
  outputs,
);

/** Istio's RequestAuthentication, every documented field. */
export const requestAuthenticationSpec: z.ZodType<RequestAuthenticationSpec> = struct(
  {
    selector: matchLabelsSelector.exactOptional(),
    targetRef: targetReference.exactOptional(),
    targetRefs: listOf(targetReference),
    jwtRules: z.array(jwtRule).max(MAX_RULES, `must have at most ${MAX_RULES} items`).exactOptional(),
  },
  targetRule,
);
