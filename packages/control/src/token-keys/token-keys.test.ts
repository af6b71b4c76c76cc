import type { MeshObject } from "@tulle/api";
import { Emitter, MeshError, silentLogger } from "@tulle/base";
import { FakeClock, settle } from "@tulle/testkit";
import { expect, test } from "vitest";

import { createMemoryStores } from "../stores/open.js";
import { StoredKeys } from "./stored-keys.js";
import { TokenKeys } from "./token-keys.js";

const KEYS = '{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}';
const OTHER = '{"keys":[]}';
const URI = "https://issuer.example/keys";
const ISSUER = "https://issuer.example";

function object(...jwtRules: readonly object[]): MeshObject {
  const metadata = { name: "a", namespace: "default" } as MeshObject["metadata"];
  return { apiVersion: "security.istio.io/v1", kind: "RequestAuthentication", metadata, spec: { jwtRules } };
}

function setup(...objects: MeshObject[]) {
  return setupWith({ keysOf: () => undefined, keep: () => Promise.resolve() }, ...objects);
}

function setupWith(stored: Pick<StoredKeys, "keysOf" | "keep">, ...objects: MeshObject[]) {
  const clock = new FakeClock();
  const answers = new Map<string, string | Error>();
  const asked: string[] = [];
  const changes = new Emitter<{
    keys: readonly { group: string; kind: string; namespace: string; name: string }[];
  }>();
  const keys = new TokenKeys({
    objects: () => objects,
    changes: changes.event,
    fetchText: () => async (url) => {
      asked.push(url);
      await Promise.resolve();
      const answer = answers.get(url) ?? new MeshError("unavailable", "CONTROL_FETCH", "refused");
      if (answer instanceof Error) throw answer;
      return answer;
    },
    stored,
    clock,
    random: () => 0.5,
    logger: silentLogger,
  });
  const changed: string[] = [];
  keys.onChanged((dependency) => changed.push(dependency));
  const written = (): void =>
    changes.emit({
      keys: [{ group: "security.istio.io", kind: "RequestAuthentication", namespace: "", name: "" }],
    });
  return { clock, answers, asked, keys, changed, objects, written };
}

const source = { jwksUri: URI, issuer: ISSUER };

test("TokenKeys fetches once for all rules with one source, and anew after twenty minutes", async () => {
  const { clock, answers, asked, keys, changed } = setup(
    object(
      { issuer: ISSUER, jwksUri: URI },
      { issuer: "other", jwksUri: URI },
      { issuer: "inline", jwks: OTHER },
    ),
  );
  answers.set(URI, ` ${KEYS}\n`);
  await settle();
  expect([asked, keys.keysOf(source), changed]).toEqual([[URI], KEYS, [`keys:${URI}`]]);
  await clock.advance(20 * 60_000);
  expect([asked.length, changed.length]).toEqual([2, 1]);
  answers.set(URI, OTHER);
  await clock.advance(20 * 60_000);
  expect([keys.keysOf(source), changed.length]).toEqual([OTHER, 2]);
});

test("TokenKeys keeps the last good keys, has none before the first, and tries again soon", async () => {
  const { clock, answers, keys, changed } = setup(object({ issuer: ISSUER, jwksUri: URI }));
  await settle();
  expect(keys.keysOf(source)).toBeUndefined();
  answers.set(URI, KEYS);
  await clock.advance(2000);
  expect(keys.keysOf(source)).toBe(KEYS);
  for (const bad of ["<html>", "{}", '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}', "null", "[]"]) {
    answers.set(URI, bad);
    await clock.advance(25 * 60_000);
    expect(keys.keysOf(source)).toBe(KEYS);
  }
  expect(changed).toHaveLength(1);
  expect(keys.counts.failures).toBeGreaterThan(5);
});

test("TokenKeys asks the issuer's discovery document where nothing else says where keys are", async () => {
  const { clock, answers, keys } = setup(object({ issuer: ISSUER }));
  const document = `${ISSUER}/.well-known/openid-configuration`;
  const found = { jwksUri: undefined, issuer: ISSUER };
  answers.set(URI, KEYS);
  for (const wrong of [
    { issuer: "https://attacker.example", jwks_uri: URI },
    { issuer: ISSUER },
    { issuer: ISSUER, jwks_uri: "file:///etc/passwd" },
    null,
  ]) {
    answers.set(document, JSON.stringify(wrong));
    await clock.advance(60_000);
    expect(keys.keysOf(found)).toBeUndefined();
  }
  answers.set(document, JSON.stringify({ issuer: ISSUER, jwks_uri: URI }));
  await clock.advance(70_000);
  expect(keys.keysOf(found)).toBe(KEYS);
});

test("TokenKeys follows what is written and forgets what is not named any more", async () => {
  const { clock, answers, asked, keys, objects, written } = setup();
  answers.set(URI, KEYS);
  objects.push(object({ issuer: ISSUER, jwksUri: URI }));
  written();
  await settle();
  expect(keys.keysOf(source)).toBe(KEYS);
  objects.pop();
  written();
  expect(keys.keysOf(source)).toBeUndefined();
  await clock.advance(60 * 60_000);
  expect(asked).toHaveLength(1);
});

test("the last good keys hold through a restart while the issuer is away, and until nobody has named it for a month", async () => {
  const rule = object({ issuer: ISSUER, jwksUri: URI });
  const clock = new FakeClock();
  const { coordination } = createMemoryStores({ clock });
  const open = () => StoredKeys.open({ coordination, clock, logger: silentLogger });
  const before = setupWith(await open(), rule);
  before.answers.set(URI, KEYS);
  await settle();
  expect(before.keys.keysOf(source)).toBe(KEYS);
  before.keys[Symbol.dispose]();
  const after = setupWith(await open(), rule);
  expect(after.keys.keysOf(source)).toBe(KEYS);
  await settle();
  // It was asked, and is away.
  expect([after.asked.length, after.keys.counts.failures, after.keys.keysOf(source)]).toEqual([1, 1, KEYS]);
  after.answers.set(URI, OTHER);
  await after.clock.advance(2000);
  expect(after.keys.keysOf(source)).toBe(OTHER);
  expect((await open()).keysOf(source)).toBe(OTHER);
  expect((await open()).keysOf({ ...source, jwksUri: "https://other.example/keys" })).toBeUndefined();
  await clock.advance(31 * 86_400_000);
  expect((await open()).keysOf(source)).toBeUndefined();
  expect(await coordination.range("")).toEqual([]);
});

test("what stands in the store and is no set of keys is not believed", async () => {
  const clock = new FakeClock();
  const { coordination } = createMemoryStores({ clock });
  const stored = (value: object): Buffer => Buffer.from(JSON.stringify(value));
  const oct = '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}';
  for (const [key, value] of [
    ["a", Buffer.from("nonsense")],
    ["b", stored({ source: URI, keys: oct, fetchedAt: clock.now() })],
    ["c", stored({ source: URI, keys: 7, fetchedAt: clock.now() })],
  ] as const)
    await coordination.txn([], [{ op: "put", key: `token-keys/${key}`, value }]);
  const opened = await StoredKeys.open({ coordination, clock, logger: silentLogger });
  expect(opened.keysOf(source)).toBeUndefined();
  expect(await coordination.range("token-keys/")).toEqual([]);
});
