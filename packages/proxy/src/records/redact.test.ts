import fc from "fast-check";
import { expect, test } from "vitest";

import { isSecretField, redactPath } from "./redact.js";

test.each([
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "x-api-key",
  "x-auth-request-access-token",
  "x-amz-security-token",
  "x-goog-iap-jwt-assertion",
  "x-forwarded-client-cert",
  "x-session-id",
  "x-hub-signature-256",
])("isSecretField keeps the value of %s secret", (name) => {
  expect(isSecretField(name)).toBe(true);
});

test.each(["version", "content-type", "x-tenant", "end-user", "user-agent", "range"])(
  "isSecretField lets %s be seen",
  (name) => {
    expect(isSecretField(name)).toBe(false);
  },
);

test("redactPath leaves out what parameters with secret names say, and nothing else", () => {
  expect(redactPath("/a?user=me&access_token=abc&page=2")).toBe("/a?user=me&access_token=<redacted>&page=2");
  expect(redactPath("/a?API_KEY=abc")).toBe("/a?API_KEY=<redacted>");
  expect(redactPath("/token/abc")).toBe("/token/abc");
});

test("redactPath lets no value of a secret parameter through, wherever it stands", () => {
  const name = fc.constantFrom("token", "access_token", "Password", "client_secret", "apikey", "sig", "code");
  const plain = fc.stringMatching(/^[a-z]{1,5}$/);
  fc.assert(
    fc.property(fc.array(plain), name, fc.array(plain), (before, secret, after) => {
      const pairs = [
        ...before.map((each) => `p${each}=1`),
        `${secret}=SEKRET`,
        ...after.map((each) => `q${each}=2`),
      ];
      const redacted = redactPath(`/x?${pairs.join("&")}`);
      expect(redacted).not.toContain("SEKRET");
      expect(redacted.split("&")).toHaveLength(pairs.length);
    }),
  );
});
