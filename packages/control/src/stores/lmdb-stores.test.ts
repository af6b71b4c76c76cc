import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { eventually, FakeClock } from "@tulle/testkit";
import fc from "fast-check";
import { open } from "lmdb";
import { afterAll, expect, test } from "vitest";

import { describeCoordination } from "./contract/coordination.contract.js";
import { describeResourceStore, key, object } from "./contract/resource-store.contract.js";
import { openLmdbStores } from "./open.js";

const root = mkdtempSync(join(tmpdir(), "tulle-lmdb-"));
let count = 0;
const fresh = (): string => join(root, String(count++));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describeResourceStore(
  "LMDB store",
  () => openLmdbStores({ directory: fresh(), clock: new FakeClock() }).resources,
);
describeCoordination(
  "LMDB coordination",
  (clock) => openLmdbStores({ directory: fresh(), clock }).coordination,
);

test("openLmdbStores finds objects, keys and the revision again", async () => {
  const directory = fresh();
  const clock = new FakeClock();
  const first = openLmdbStores({ directory, clock });
  const created = await first.resources.create(object("a", 7), key("a"));
  await first.coordination.txn([], [{ op: "put", key: "k", value: new Uint8Array([1, 2, 3]) }]);
  const revision = first.resources.revision();
  await first.close();

  const second = openLmdbStores({ directory, clock });
  expect(await second.resources.get(key("a"))).toEqual(created);
  expect([...(await second.coordination.get("k"))!.value]).toEqual([1, 2, 3]);
  expect(second.resources.revision()).toBe(revision);
  expect(() => second.resources.watch({}, 0, () => undefined)).toThrow(
    expect.objectContaining({ code: "STORE_REVISION_GONE" }),
  );
  await second.close();
});

test("openLmdbStores finds every key again, whatever its length and its characters", async () => {
  const keys = fc.uniqueArray(fc.string({ unit: "binary", minLength: 1, maxLength: 120, size: "max" }), {
    minLength: 1,
    maxLength: 20,
  });
  await fc.assert(
    fc.asyncProperty(keys, async (texts) => {
      const directory = fresh();
      const clock = new FakeClock();
      const put = (text: string) => ({ op: "put", key: text, value: Buffer.from(text) }) as const;
      const first = openLmdbStores({ directory, clock });
      await first.coordination.txn([], texts.map(put));
      await first.close();
      const second = openLmdbStores({ directory, clock });
      const found = (await second.coordination.range("")).map(({ key: text }) => text);
      await second.close();
      expect(found).toEqual([...texts].sort());
    }),
    { numRuns: 20 },
  );
});

test("openLmdbStores finds what the first format held, long keys too, and can take it away", async () => {
  const directory = fresh();
  const clock = new FakeClock();
  await openLmdbStores({ directory, clock }).close();
  const texts = ["short", `long-${"x".repeat(80)}`];
  // As it was written then: by the store's own encoding of keys, which does not escape NUL in a long one.
  const old = open<unknown, string[]>({ path: join(directory, "tulle.lmdb"), noSubdir: true });
  for (const text of texts) {
    await old.put(["d", `key\u0000${text}`], { v: Buffer.from(text), c: 1, m: 1, l: 0 });
  }
  await old.put(["m", "format"], 1);
  await old.close();

  const second = openLmdbStores({ directory, clock });
  expect((await second.coordination.range("")).map(({ key: text }) => text)).toEqual([...texts].sort());
  await second.coordination.txn([], [{ op: "delete", key: texts[0]! }]);
  await second.close();
  const third = openLmdbStores({ directory, clock });
  expect((await third.coordination.range("")).map(({ key: text }) => text)).toEqual([texts[1]]);
  await third.close();
});

test("openLmdbStores gives a lease its full time after a restart", async () => {
  const directory = fresh();
  const clock = new FakeClock();
  const first = openLmdbStores({ directory, clock });
  const lease = await first.coordination.grantLease(1000);
  await first.coordination.txn([], [{ op: "put", key: "k", value: new Uint8Array(1), lease }]);
  await clock.advance(900);
  await first.close();

  const second = openLmdbStores({ directory, clock });
  await clock.advance(900);
  expect(await second.coordination.get("k")).toBeDefined();
  await clock.advance(100);
  await eventually(async () => (await second.coordination.get("k")) === undefined);
  await second.close();
});

test("openLmdbStores keeps its files from other users", async () => {
  const directory = fresh();
  const stores = openLmdbStores({ directory, clock: new FakeClock() });
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(statSync(join(directory, "tulle.lmdb")).mode & 0o777).toBe(0o600);
  await stores.close();
});

test("openLmdbStores refuses a directory that is in use and takes over one whose process is gone", async () => {
  const directory = fresh();
  const clock = new FakeClock();
  const stores = openLmdbStores({ directory, clock });
  expect(() => openLmdbStores({ directory, clock })).toThrow(
    expect.objectContaining({ code: "STORE_LOCKED" }),
  );
  await stores.close();

  // No process has the highest pid that Linux can give out plus one.
  writeFileSync(join(directory, "tulle.pid"), "4194305\n");
  await openLmdbStores({ directory, clock }).close();
});
