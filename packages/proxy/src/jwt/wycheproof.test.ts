import { readFileSync } from "node:fs";

import * as jose from "jose";
import { expect, test } from "vitest";

import { readToken } from "./read-token.js";
import { TokenKeys } from "./token-keys.js";

// The vectors of Wycheproof for JWS and JWK. Most of them sign a text that is no JSON: there, a signature that was found good
// is told by what is refused next, the payload.

const NOT_JSON = "Jwt payload is an invalid JSON";

interface Vectors {
  readonly numberOfTests: number;
  readonly testGroups: readonly {
    readonly comment: string;
    readonly public?: object;
    readonly private: object;
    readonly tests: readonly {
      readonly tcId: number;
      readonly comment: string;
      readonly jws: unknown;
      readonly result: "valid" | "invalid";
    }[];
  }[];
}

function vectorsOf(file: string): Vectors {
  return JSON.parse(readFileSync(new URL(`vectors/${file}`, import.meta.url), "utf8")) as Vectors;
}

/** Undefined: taken. */
async function refusalOf(jws: unknown, keys: object): Promise<string | undefined> {
  if (typeof jws !== "string") return "no text";
  const read = readToken(jws);
  if (typeof read === "string" && read !== NOT_JSON) return read;
  const rule = {
    issuer: "",
    audiences: [],
    jwks: JSON.stringify(keys),
    clockSkewMs: 0,
    requireExpiration: false,
  };
  const failure = await new TokenKeys(jose, rule).failureOf(jws, 0);
  return failure === NOT_JSON ? undefined : failure;
}

/** Cases whose outcome is another than Wycheproof's, by what became of them. */
async function deviations(file: string): Promise<Record<string, number[]>> {
  const { testGroups, numberOfTests } = vectorsOf(file);
  const found: Record<string, number[]> = {};
  let tried = 0;
  for (const { tests, ...pair } of testGroups) {
    const keys = pair.public ?? pair.private;
    for (const { tcId, jws, result } of tests) {
      tried++;
      const refusal = await refusalOf(jws, "keys" in keys ? keys : { keys: [keys] });
      if ((refusal === undefined) !== (result === "valid")) (found[refusal ?? "taken"] ??= []).push(tcId);
    }
  }
  expect(tried).toBe(numberOfTests);
  return found;
}

const NO_HMAC = "Header alg is not supported";
const NO_FORM = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
const NO_KEY = "Jwks doesn't have key to match kid or alg from Jwt";

test("of Wycheproof's 401 signatures none is taken that must not be", async () => {
  expect(await deviations("json_web_signature_test.json")).toEqual({
    // Whoever can verify these could make them: the HMAC family is not taken.
    [NO_HMAC]: [1, 348, 352, 357, 358, 359, 376, 377],
    // Nothing signed is no token (259 to 325). Characters that are not of base64url are no part of one (372, 373: Wycheproof
    // has them passed over).
    [NO_FORM]: [259, 264, 268, 272, 320, 325, 372, 373],
    // The token says another algorithm than its key is for: RFC 7520's figures are signed with PS384 and ES512, and the keys
    // that are given for them are of PS256 and "ES521".
    [NO_KEY]: [346, 347, 350, 351],
  });
});

test("of Wycheproof's 26 sets of keys one is taken that must not be", async () => {
  expect(await deviations("json_web_key_test.json")).toEqual({
    [NO_HMAC]: [2, 13, 14, 15],
    // A key that a faulty chip made so that it can be factored (ROCA, CVE-2017-15361). Whose keys are believed is the
    // operator's to say, and an issuer with such a chip has to replace it.
    taken: [7],
  });
});
