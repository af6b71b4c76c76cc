import { FakeClock } from "@tulle/testkit";
import { beforeEach, expect, test } from "vitest";

import { createMemoryStores, type Stores } from "../stores/open.js";
import { createAccessTokens, type AccessTokens } from "./access-tokens.js";

let clock: FakeClock;
let stores: Stores;
let tokens: AccessTokens;

beforeEach(() => {
  clock = new FakeClock();
  stores = createMemoryStores({ clock });
  tokens = createAccessTokens({ coordination: stores.coordination, clock });
});

test("find tells whose token it is, also at another control plane", async () => {
  const { token, ...info } = await tokens.create(
    { name: "ci", role: "operator", namespaces: ["shop"] },
    "token:root",
  );
  expect(token).toMatch(/^tulle_[A-Za-z0-9_-]{43}$/);
  expect(info).toEqual({
    name: "ci",
    role: "operator",
    namespaces: ["shop"],
    createdAt: clock.now(),
    createdBy: "token:root",
  });
  const other = createAccessTokens({ coordination: stores.coordination, clock });
  expect(await other.find(token)).toEqual(info);
  expect(await other.list()).toEqual([info]);
});

test("create keeps no token, only its hash, and a name is given once", async () => {
  const { token } = await tokens.create({ name: "ci", role: "admin" }, "x");
  await expect(tokens.create({ name: "ci", role: "read-only" }, "x")).rejects.toMatchObject({
    kind: "already-exists",
  });
  const stored = await stores.coordination.range("");
  expect(stored).toHaveLength(2);
  for (const { key, value } of stored)
    expect(key + Buffer.from(value).toString()).not.toContain(token.slice(6));
  expect(JSON.stringify(await tokens.list())).not.toMatch(/hash/);
});

test("revoke ends a token at once, and says so to who listens", async () => {
  const revoked: string[] = [];
  const { token } = await tokens.create({ name: "ci", role: "admin" }, "x");
  tokens.onRevoked((name) => revoked.push(name));
  await tokens.revoke("ci");
  expect(await tokens.find(token)).toBeUndefined();
  expect(revoked).toEqual(["ci"]);
  expect(await stores.coordination.range("access/")).toEqual([]);
  await expect(tokens.revoke("ci")).rejects.toMatchObject({ kind: "not-found" });
  const again = await tokens.create({ name: "ci", role: "admin" }, "x");
  expect(await tokens.find(token)).toBeUndefined();
  expect(await tokens.find(again.token)).toMatchObject({ name: "ci" });
});

test("find refuses an expired token, and the store forgets it", async () => {
  const { token, expiresAt } = await tokens.create({ name: "ci", role: "admin", ttlSeconds: 60 }, "x");
  expect(expiresAt).toBe(clock.now() + 60_000);
  await clock.advance(59_999);
  expect(await tokens.find(token)).toMatchObject({ name: "ci" });
  await clock.advance(1);
  expect(await tokens.find(token)).toBeUndefined();
  expect(await tokens.list()).toEqual([]);
  expect(await stores.coordination.range("access/")).toEqual([]);
});

test("find refuses what is no token", async () => {
  for (const text of ["", "tulle_", "../ci", "ci", `tulle_${"a".repeat(43)}`, "tulle_".repeat(10_000)]) {
    expect(await tokens.find(text)).toBeUndefined();
  }
});
