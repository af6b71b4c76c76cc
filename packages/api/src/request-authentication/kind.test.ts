import { expect, test } from "vitest";
import { requestAuthenticationKind } from "./kind.js";

const issuer = "https://issuer.example";
const key = { kty: "RSA", n: "AQAB", e: "AQAB", kid: "a" };
const jwks = (...keys: readonly object[]): string => JSON.stringify({ keys });

test("check accepts every field", () => {
  const spec = {
    selector: { matchLabels: { app: "web" } },
    jwtRules: [
      {
        issuer,
        audiences: ["a"],
        jwks: jwks(key),
        fromHeaders: [{ name: "x-token", prefix: "JWT " }, { name: "x-other" }],
        fromParams: ["token"],
        fromCookies: ["session"],
        outputPayloadToHeader: "x-payload",
        outputClaimToHeaders: [{ header: "x-sub", claim: "sub" }],
        forwardOriginalToken: true,
        timeout: "3s",
        spaceDelimitedClaims: ["roles"],
      },
      { issuer: "other", jwksUri: "https://issuer.example/keys?x=1" },
    ],
  };
  expect(requestAuthenticationKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
});

test.each<[object, string]>([
  [{}, "issuer: is required"],
  [{ issuer, jwks: "x" }, "jwks: is no JSON"],
  [{ issuer, jwks: "[]" }, "jwks: must be a JWK Set"],
  [{ issuer, jwks: jwks({}) }, "jwks: keys[0] has no kty"],
  [{ issuer, jwks: jwks(key, { ...key, d: "secret" }) }, "jwks: keys[1] is not a public key"],
  [{ issuer, jwks: jwks({ kty: "oct", k: "secret" }) }, "jwks: keys[0] is not a public key"],
  [{ issuer, jwks: jwks(), jwksUri: "https://a/" }, "jwksUri: cannot stand together with jwks"],
  [{ issuer, jwksUri: "file:///etc/passwd" }, "jwksUri: expected a URL"],
  [{ issuer, jwksUri: "https://user@host/" }, "jwksUri: expected a URL"],
  [{ issuer, jwksUri: "https://" }, "jwksUri: expected a URL"],
  [{ issuer, fromHeaders: [{ name: "a b" }] }, "fromHeaders[0].name: expected the name of a header"],
  [{ issuer, outputPayloadToHeader: "Host" }, "outputPayloadToHeader: Host cannot carry"],
  [
    {
      issuer,
      outputClaimToHeaders: [
        { header: "x", claim: "a" },
        { header: "X", claim: "b" },
      ],
    },
    "outputClaimToHeaders[1].header: X is written already",
  ],
  [{ issuer, timeout: "0s" }, "timeout: expected a duration"],
  [{ issuer, jwks_uri: "x" }, "jwks_uri: is not a known field"],
])("check refuses %j", (rule, expected) => {
  const checked = requestAuthenticationKind.check({ spec: { jwtRules: [rule] } });
  const found = checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
  expect(found.join("\n")).toContain(expected);
  expect(found.join("\n")).not.toContain('secret"');
});

test("check warns of what opens more than its author may think", () => {
  const warningsOf = (jwtRules: readonly object[]) =>
    requestAuthenticationKind.check({ spec: { jwtRules } }).warnings;
  expect(warningsOf([])).toEqual([expect.stringContaining("no token is verified")]);
  expect(warningsOf([{ issuer, jwksUri: "http://keys.example/" }])).toEqual([
    expect.stringContaining("not https"),
  ]);
  expect(warningsOf([{ issuer, fromParams: ["t"] }])).toEqual([
    expect.stringContaining("go on to the application"),
  ]);
});
