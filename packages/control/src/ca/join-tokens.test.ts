import { FakeClock } from "@tulle/testkit";
import { beforeEach, expect, test } from "vitest";

import { createMemoryStores, type Stores } from "../stores/open.js";
import { createJoinTokens, type JoinTokens } from "./join-tokens.js";

const REVIEWS = { namespace: "default", serviceAccount: "reviews" };

let clock: FakeClock;
let stores: Stores;
let tokens: JoinTokens;

beforeEach(() => {
  clock = new FakeClock();
  stores = createMemoryStores({ clock });
  tokens = createJoinTokens({ coordination: stores.coordination, clock });
});

test("redeem gives a token's account exactly once, also to callers at once", async () => {
  const { token } = await tokens.mint(REVIEWS);
  expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(await tokens.peek(token)).toEqual(REVIEWS);
  const other = createJoinTokens({ coordination: stores.coordination, clock });
  const got = await Promise.all([tokens, other, tokens, other].map((replica) => replica.redeem(token)));
  expect(got.filter((account) => account !== undefined)).toEqual([REVIEWS]);
  expect(await tokens.redeem(token)).toBeUndefined();
  expect(await tokens.peek(token)).toBeUndefined();
});

test("mint stores no token, only its hash, and makes a new one each time", async () => {
  const minted = await Promise.all([tokens.mint(REVIEWS), tokens.mint(REVIEWS)]);
  expect(minted[0]?.token).not.toBe(minted[1]?.token);
  const stored = await stores.coordination.range("");
  expect(stored).toHaveLength(2);
  for (const { token } of minted) {
    for (const { key, value } of stored) expect(key + Buffer.from(value).toString()).not.toContain(token);
  }
});

test("redeem refuses an expired token, and the store forgets it", async () => {
  const { token, expiresAt } = await tokens.mint({ ...REVIEWS, ttlSeconds: 60 });
  expect(expiresAt).toBe(clock.now() + 60_000);
  await clock.advance(60_000);
  expect(await tokens.redeem(token)).toBeUndefined();
  await clock.advance(60_000);
  expect(await stores.coordination.range("ca/join-tokens/")).toEqual([]);
});

test("redeem refuses what is not a token", async () => {
  for (const text of ["", "x", "../root", "a".repeat(43), "a".repeat(100_000)]) {
    expect(await tokens.redeem(text)).toBeUndefined();
  }
});

test("mint refuses names that are no account, the control plane's own, and odd lifetimes", async () => {
  for (const account of [
    { namespace: "", serviceAccount: "a" },
    { namespace: "a/sa/b", serviceAccount: "a" },
    { namespace: "default", serviceAccount: "a/b" },
    { namespace: "default", serviceAccount: "A" },
    { namespace: "default", serviceAccount: ".." },
    { namespace: "default", serviceAccount: "a%2fb" },
  ]) {
    await expect(tokens.mint(account)).rejects.toMatchObject({ code: "CA_JOIN_ACCOUNT" });
  }
  await expect(tokens.mint({ namespace: "istio-system", serviceAccount: "istiod" })).rejects.toMatchObject({
    code: "CA_JOIN_RESERVED",
  });
  for (const ttlSeconds of [0, -1, 86_401, 1.5, Number.NaN]) {
    await expect(tokens.mint({ ...REVIEWS, ttlSeconds })).rejects.toMatchObject({ code: "CA_JOIN_TTL" });
  }
});
