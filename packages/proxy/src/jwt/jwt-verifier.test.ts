import { createHmac, generateKeyPairSync, sign, type KeyObject } from "node:crypto";

import { silentLogger } from "@tulle/base";
import type { Fact, JwtRule, JwtVerdict } from "@tulle/engine";
import { FakeClock } from "@tulle/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";

import { isPending, type FactAsker } from "../facts/contract.js";
import { MetricsRegistry } from "../telemetry/metrics.js";
import { prometheusText } from "../telemetry/prometheus-text.js";
import { JwtVerifier } from "./jwt-verifier.js";

// Tokens as attackers make them, in the classes of the Wycheproof vectors for JWS and JWK, and then some.

const ISSUER = "https://issuer.example";
const clock = new FakeClock();
const NOW = Math.floor(clock.now() / 1000);

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const otherRsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const weakRsa = generateKeyPairSync("rsa", { modulusLength: 1024 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ec384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
const ed = generateKeyPairSync("ed25519");

type Claims = Record<string, unknown>;

function jwk(key: KeyObject, more: Claims = {}): Claims {
  return { ...(key.export({ format: "jwk" }) as Claims), ...more };
}

const KEYS = {
  keys: [
    jwk(rsa.publicKey, { kid: "rsa", alg: "RS256", use: "sig" }),
    jwk(ec.publicKey, { kid: "ec", alg: "ES256" }),
    jwk(ed.publicKey, { kid: "ed" }),
  ],
};

function rule(more: Partial<JwtRule> = {}): JwtRule {
  return {
    issuer: ISSUER,
    audiences: [],
    jwks: JSON.stringify(KEYS),
    clockSkewMs: 60_000,
    requireExpiration: false,
    ...more,
  };
}

function encode(part: unknown): string {
  const text = typeof part === "string" ? part : JSON.stringify(part);
  return Buffer.from(text).toString("base64url");
}

type Signer = (input: string) => Buffer;
const rs256 =
  (key: KeyObject): Signer =>
  (input) =>
    sign("sha256", Buffer.from(input), key);
const es256 =
  (key: KeyObject): Signer =>
  (input) =>
    sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" });
const eddsa: Signer = (input) => sign(null, Buffer.from(input), ed.privateKey);
const hmac =
  (secret: string | Buffer): Signer =>
  (input) =>
    createHmac("sha256", secret).update(input).digest();

const CLAIMS = { iss: ISSUER, sub: "alice", exp: NOW + 600 };

function token(header: unknown, payload: unknown = CLAIMS, signer: Signer = rs256(rsa.privateKey)): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${signer(input).toString("base64url")}`;
}

const RSA = { alg: "RS256", kid: "rsa" };
const GOOD = token(RSA);

async function verdictOf(text: string, held = rule(), verifier = newVerifier()): Promise<JwtVerdict> {
  const fact = await new Promise<Fact>((resolve) => {
    const asker = { onFact: resolve } as unknown as FactAsker;
    const answer = verifier.fetch({ kind: "jwt", asks: "", checks: [{ rule: held, token: text }] }, asker);
    if (!isPending(answer)) resolve(answer);
  });
  if (fact.kind !== "jwt") throw new Error(fact.kind);
  return fact.verdicts[0]!;
}

function newVerifier(metrics = new MetricsRegistry()): JwtVerifier {
  return new JwtVerifier(clock, silentLogger, metrics);
}

test.each([
  ["RS256", GOOD],
  ["RS256 without kid", token({ alg: "RS256" })],
  ["ES256", token({ alg: "ES256", kid: "ec" }, CLAIMS, es256(ec.privateKey))],
  ["EdDSA", token({ alg: "EdDSA", kid: "ed" }, CLAIMS, eddsa)],
  ["a typ", token({ ...RSA, typ: "at+jwt" })],
  ["an expiry within what clocks may differ", token(RSA, { ...CLAIMS, exp: NOW - 30 })],
  ["no expiry", token(RSA, { iss: ISSUER })],
  [
    "claims of all kinds",
    token(RSA, { ...CLAIMS, list: [1, { a: null }], text: "\u0000 €", nested: { "a.b": true } }),
  ],
  ["a far expiry", token(RSA, { ...CLAIMS, exp: 1e15 })],
])("a token with %s is good", async (_what, text) => {
  expect(await verdictOf(text)).toMatchObject({ status: "good", payload: { iss: ISSUER } });
});

const publicPem = rsa.publicKey.export({ format: "pem", type: "spki" });
const publicDer = rsa.publicKey.export({ format: "der", type: "spki" });
const derSignature: Signer = (input) => sign("sha256", Buffer.from(input), ec.privateKey);
const [HEADER = "", PAYLOAD = "", SIGNATURE = ""] = GOOD.split(".");
const order = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
const EC = { alg: "ES256", kid: "ec" };
const withSignature = (bytes: Buffer): string => token(EC, CLAIMS, () => bytes);

test.each([
  // No signature, or none that says anything.
  ["alg none", token({ alg: "none" }, CLAIMS, () => Buffer.alloc(0))],
  ["alg None with a signature", token({ alg: "None" })],
  ["alg nOnE", token({ alg: "nOnE", kid: "rsa" })],
  ["an empty signature", `${HEADER}.${PAYLOAD}.`],
  ["no signature", `${HEADER}.${PAYLOAD}`],
  ["four parts", `${GOOD}.x`],
  ["five parts, encrypted", `${GOOD}.x.y`],
  ["nothing", ""],
  ["dots", ".."],
  ["no alg", token({ kid: "rsa" })],
  ["alg that is no text", token({ alg: ["RS256"], kid: "rsa" })],
  // Another algorithm than the key's.
  ["HMAC with the public key in PEM", token({ alg: "HS256", kid: "rsa" }, CLAIMS, hmac(publicPem))],
  ["HMAC with the public key in DER", token({ alg: "HS256" }, CLAIMS, hmac(publicDer))],
  ["HMAC with nothing", token({ alg: "HS256" }, CLAIMS, hmac(""))],
  ["PS256 said, RS256 signed", token({ alg: "PS256", kid: "rsa" })],
  ["RS384 said for a key of RS256", token({ alg: "RS384", kid: "rsa" })],
  ["RS256 said for a curve's key", token({ alg: "RS256", kid: "ec" })],
  ["ES256 signed on another curve", token(EC, CLAIMS, es256(ec384.privateKey))],
  ["ES256K", token({ alg: "ES256K", kid: "ec" }, CLAIMS, es256(ec.privateKey))],
  // Signatures that are not.
  ["another key's signature", token(RSA, CLAIMS, rs256(otherRsa.privateKey))],
  ["one bit of the signature turned", token(RSA, CLAIMS, flipped(rs256(rsa.privateKey)))],
  ["a payload of one's own", `${HEADER}.${encode({ ...CLAIMS, sub: "root" })}.${SIGNATURE}`],
  ["a header of one's own", `${encode({ ...RSA, x: 1 })}.${PAYLOAD}.${SIGNATURE}`],
  ["a cut signature", GOOD.slice(0, -4)],
  ["a longer signature", `${GOOD}AAAA`],
  ["an ECDSA signature in DER", token(EC, CLAIMS, derSignature)],
  ["r and s of zero", withSignature(Buffer.alloc(64))],
  ["r and s of the group's order", withSignature(Buffer.concat([order, order]))],
  [
    "an ECDSA signature with a zero behind",
    token(EC, CLAIMS, (input) => Buffer.concat([es256(ec.privateKey)(input), Buffer.alloc(1)])),
  ],
  // Keys of the attacker's.
  [
    "a key in the header",
    token({ ...RSA, kid: "mine", jwk: jwk(otherRsa.publicKey) }, CLAIMS, rs256(otherRsa.privateKey)),
  ],
  [
    "a certificate in the header",
    token({ alg: "RS256", x5c: [publicDer.toString("base64")] }, CLAIMS, rs256(otherRsa.privateKey)),
  ],
  [
    "a jku",
    token({ ...RSA, kid: "mine", jku: "http://127.0.0.1:1/keys" }, CLAIMS, rs256(otherRsa.privateKey)),
  ],
  [
    "an x5u",
    token({ ...RSA, kid: "mine", x5u: "http://127.0.0.1:1/cert" }, CLAIMS, rs256(otherRsa.privateKey)),
  ],
  ["an unknown kid", token({ ...RSA, kid: "unknown" })],
  ["a kid that is a path", token({ ...RSA, kid: "../../../../dev/null" }, CLAIMS, hmac(""))],
  ["a kid with SQL", token({ ...RSA, kid: "' OR 1=1 --" })],
  ["a kid called __proto__", token({ ...RSA, kid: "__proto__" })],
  ["a kid that is no text", token({ ...RSA, kid: { toString: "rsa" } }, CLAIMS, rs256(otherRsa.privateKey))],
  // Headers that mean two things, or ask for what is not done.
  ["alg given twice", token('{"alg":"none","alg":"RS256","kid":"rsa"}')],
  ["alg given twice, once escaped", token('{"\\u0061lg":"none","alg":"RS256","kid":"rsa"}')],
  ["crit", token({ ...RSA, crit: ["exp"], exp: 1 })],
  ["crit of nothing", token({ ...RSA, crit: [] })],
  ["an unencoded payload", token({ ...RSA, b64: false, crit: ["b64"] })],
  ["a header that is a list", token([RSA])],
  ["a header that is no JSON", token("{")],
  // Encodings.
  ["padding", `${HEADER}=.${PAYLOAD}.${SIGNATURE}`],
  [
    "base64 that is not for URLs",
    `${HEADER}.${PAYLOAD}.${SIGNATURE.replaceAll("-", "+").replaceAll("_", "/")}/`,
  ],
  ["a space", `${HEADER}. ${PAYLOAD}.${SIGNATURE}`],
  ["a line break", `${HEADER}.${PAYLOAD}.${SIGNATURE}\n`],
  ["JSON serialization", JSON.stringify({ protected: HEADER, payload: PAYLOAD, signature: SIGNATURE })],
  ["one character too many", `${HEADER}.${PAYLOAD}A.${SIGNATURE}`],
  ["invalid UTF-8", signedBytes(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))],
  ["a byte order mark", token(RSA, `\ufeff${JSON.stringify(CLAIMS)}`)],
  ["16 KiB of claims", token(RSA, { ...CLAIMS, x: "x".repeat(16_384) })],
  ["a megabyte", `${HEADER}.${"A".repeat(1_000_000)}.${SIGNATURE}`],
  // Claims.
  ["sub given twice", token(RSA, `{"iss":"${ISSUER}","sub":"alice","sub":"root"}`)],
  ["a member given twice deep inside", token(RSA, `{"iss":"${ISSUER}","a":[{"b":{"c":1,"c":2}}]}`)],
  ["claims nested 100 deep", token(RSA, `{"iss":"${ISSUER}","a":${"[".repeat(100)}${"]".repeat(100)}}`)],
  ["claims that are a list", token(RSA, [CLAIMS])],
  ["claims that are null", token(RSA, "null")],
  ["a token within", token({ ...RSA, cty: "JWT" }, GOOD)],
  ["an expiry that is over", token(RSA, { ...CLAIMS, exp: NOW - 61 })],
  ["a negative expiry", token(RSA, { ...CLAIMS, exp: -1 })],
  ["an expiry as text", token(RSA, { ...CLAIMS, exp: String(NOW + 600) })],
  ["an expiry of null", token(RSA, { ...CLAIMS, exp: null })],
  ["an expiry beyond all numbers", token(RSA, `{"iss":"${ISSUER}","exp":"1e999"}`)],
  ["a beginning in the future", token(RSA, { ...CLAIMS, nbf: NOW + 61 })],
  ["a beginning as text", token(RSA, { ...CLAIMS, nbf: "0" })],
])("a token with %s is bad", async (_what, text) => {
  expect((await verdictOf(text)).status).toBe("bad");
});

function flipped(signer: Signer): Signer {
  return (input) => {
    const bytes = signer(input);
    bytes[10]! ^= 1;
    return bytes;
  };
}

function signedBytes(payload: Buffer): string {
  const input = `${encode(RSA)}.${payload.toString("base64url")}`;
  return `${input}.${rs256(rsa.privateKey)(input).toString("base64url")}`;
}

test.each([`${ISSUER}/`, ISSUER.toUpperCase(), "", undefined, 7, [ISSUER], null])(
  "a token of the issuer %j is another's",
  async (iss) => {
    expect(await verdictOf(token(RSA, { ...CLAIMS, iss }))).toEqual({ status: "other-issuer" });
  },
);

test.each([
  ["a", true],
  [["x", "a"], true],
  [["b"], true],
  ["c", false],
  ["a/", false],
  ["A", false],
  [[], false],
  [undefined, false],
  [{ a: 1 }, false],
  [["a,b"], false],
])("of audiences a and b a token for %j is good: %s", async (aud, good) => {
  const { status } = await verdictOf(token(RSA, { ...CLAIMS, aud }), rule({ audiences: ["a", "b"] }));
  expect(status).toBe(good ? "good" : "bad");
});

const asSet = (...keys: readonly Claims[]): Partial<JwtRule> => ({ jwks: JSON.stringify({ keys }) });

test.each<[string, Partial<JwtRule>, string]>([
  ["for encryption", asSet(jwk(rsa.publicKey, { kid: "rsa", use: "enc" })), GOOD],
  ["for other operations", asSet(jwk(rsa.publicKey, { kid: "rsa", key_ops: ["encrypt"] })), GOOD],
  ["of another algorithm", asSet(jwk(rsa.publicKey, { kid: "rsa", alg: "RS512" })), GOOD],
  ["that is private", asSet(jwk(rsa.privateKey, { kid: "rsa" })), GOOD],
  [
    "of 1024 bits",
    asSet(jwk(weakRsa.publicKey, { kid: "rsa" })),
    token(RSA, CLAIMS, rs256(weakRsa.privateKey)),
  ],
  [
    "that is a secret",
    asSet({ kty: "oct", k: encode("secret"), kid: "rsa" }),
    token({ alg: "HS256", kid: "rsa" }, CLAIMS, hmac("secret")),
  ],
  ["of another type", asSet({ ...jwk(rsa.publicKey), kty: "EC", kid: "rsa" }), GOOD],
  ["without its exponent", asSet({ kty: "RSA", n: jwk(rsa.publicKey)["n"], kid: "rsa" }), GOOD],
  [
    "off its curve",
    asSet({ ...jwk(ec.publicKey), y: jwk(ec.publicKey)["x"], kid: "ec" }),
    token(EC, CLAIMS, es256(ec.privateKey)),
  ],
  ["of none at all", asSet(), GOOD],
  ["in a set that is no JSON", { jwks: "x" }, GOOD],
  ["in a set without keys", { jwks: "{}" }, GOOD],
  ["in a set of nonsense", { jwks: '{"keys":[null,1,"x",[]]}' }, GOOD],
])("a key %s verifies nothing", async (_what, keys, text) => {
  expect((await verdictOf(text, rule(keys))).status).toBe("bad");
});

test("of several keys that may be meant each is tried, under one kid or without", async () => {
  const two = (more: Claims) =>
    rule(
      asSet(jwk(otherRsa.publicKey, more), jwk(rsa.publicKey, more), {
        kty: "RSA",
        n: "AA",
        e: "AQAB",
        ...more,
      }),
    );
  expect((await verdictOf(token({ alg: "RS256" }), two({}))).status).toBe("good");
  expect((await verdictOf(GOOD, two({ kid: "rsa" }))).status).toBe("good");
  expect(
    (
      await verdictOf(
        GOOD,
        rule(asSet(jwk(otherRsa.publicKey, { kid: "rsa" }), jwk(otherRsa.publicKey, { kid: "rsa" }))),
      )
    ).status,
  ).toBe("bad");
});

test("a good token is verified once, and judged by its dates every time", async () => {
  const time = new FakeClock();
  const metrics = new MetricsRegistry();
  const verifier = new JwtVerifier(time, silentLogger, metrics);
  const held = rule();
  const text = token(RSA, { ...CLAIMS, exp: Math.floor(time.now() / 1000) + 100 });
  for (let times = 0; times < 3; times++) expect((await verdictOf(text, held, verifier)).status).toBe("good");
  expect(prometheusText(metrics)).toContain('tulle_jwt_verifications_total{result="good"} 1');
  await time.advance(161_000);
  expect(await verdictOf(text, held, verifier)).toEqual({ status: "bad", reason: "Jwt is expired" });
  // Other keys: what was found with the former ones does not count.
  expect((await verdictOf(text, rule(asSet(jwk(otherRsa.publicKey, { kid: "rsa" }))), verifier)).status).toBe(
    "bad",
  );
});

test("whatever stands where a token should, is refused without a word of it", async () => {
  const parts = fc.oneof(
    fc.string(),
    fc.base64String(),
    fc.constantFrom(HEADER, PAYLOAD, SIGNATURE, encode({})),
  );
  const verifier = newVerifier();
  const held = rule();
  await fc.assert(
    fc.asyncProperty(fc.array(parts, { maxLength: 4 }), async (list) => {
      const text = list.join(".");
      if (text === GOOD) return;
      const verdict = await verdictOf(text, held, verifier);
      expect(verdict.status).not.toBe("good");
    }),
    { numRuns: 300 },
  );
});
