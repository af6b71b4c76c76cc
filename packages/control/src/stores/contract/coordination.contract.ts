import { eventually, FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import type { Coordination } from "../coordination.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value);

/** The behaviour that every {@link Coordination} has. `create` gives an empty one on the given clock. */
export function describeCoordination(name: string, create: (clock: FakeClock) => Coordination): void {
  const it = (title: string, run: (coordination: Coordination, clock: FakeClock) => Promise<void>): void =>
    test(`${name}: ${title}`, async () => {
      const clock = new FakeClock();
      const coordination = create(clock);
      try {
        await run(coordination, clock);
      } finally {
        await coordination.close();
      }
      expect(clock.pending).toBe(0);
    });

  const put = (coordination: Coordination, key: string, value: string, lease?: number): Promise<unknown> =>
    coordination.txn(
      [],
      [{ op: "put", key, value: bytes(value), ...(lease === undefined ? {} : { lease }) }],
    );

  it("get returns what was put, with its revisions", async (coordination) => {
    await put(coordination, "a", "1");
    await put(coordination, "a", "2");
    const kv = await coordination.get("a");
    expect(text(kv?.value)).toBe("2");
    expect(kv!.modRevision).toBeGreaterThan(kv!.createRevision);
    expect(await coordination.get("b")).toBeUndefined();
  });

  it("range lists a prefix in key order", async (coordination) => {
    for (const key of ["p/b", "p/a", "q/a"]) await put(coordination, key, key);
    expect((await coordination.range("p/")).map((kv) => kv.key)).toEqual(["p/a", "p/b"]);
  });

  it("txn refuses a key too long for the disk, alone of those that go with it", async (coordination) => {
    const value = bytes("x");
    const tooLong = coordination.txn(
      [],
      [
        { op: "put", key: "a", value },
        { op: "put", key: "k".repeat(2000), value },
      ],
    );
    const beside = put(coordination, "b", "x");
    await expect(tooLong).rejects.toThrow(expect.objectContaining({ code: "STORE_KEY_TOO_LONG" }));
    await beside;
    expect((await coordination.range("")).map((kv) => kv.key)).toEqual(["b"]);
  });

  it("txn applies nothing when a comparison fails", async (coordination) => {
    await put(coordination, "a", "1");
    const result = await coordination.txn(
      [{ key: "a", absent: true }],
      [{ op: "put", key: "b", value: bytes("x") }],
    );
    expect(result.succeeded).toBe(false);
    expect(await coordination.get("b")).toBeUndefined();
  });

  it("txn makes one of many concurrent creators win", async (coordination) => {
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        coordination.txn(
          [{ key: "root", absent: true }],
          [{ op: "put", key: "root", value: bytes(String(n)) }],
        ),
      ),
    );
    expect(results.filter((result) => result.succeeded)).toHaveLength(1);
  });

  it("txn compares and swaps on the mod revision", async (coordination) => {
    await put(coordination, "a", "1");
    const { modRevision } = (await coordination.get("a"))!;
    const swap = (value: string): Promise<{ succeeded: boolean }> =>
      coordination.txn([{ key: "a", modRevision }], [{ op: "put", key: "a", value: bytes(value) }]);
    expect((await swap("2")).succeeded).toBe(true);
    expect((await swap("3")).succeeded).toBe(false);
    expect(text((await coordination.get("a"))?.value)).toBe("2");
  });

  it("txn deletes a key and a prefix", async (coordination) => {
    for (const key of ["p/a", "p/b", "q"]) await put(coordination, key, key);
    await coordination.txn(
      [],
      [
        { op: "delete-prefix", prefix: "p/" },
        { op: "delete", key: "q" },
      ],
    );
    expect(await coordination.range("")).toEqual([]);
  });

  it("txn refuses a value of over 1 MiB", async (coordination) => {
    const value = new Uint8Array(1024 * 1024 + 1);
    await expect(coordination.txn([], [{ op: "put", key: "a", value }])).rejects.toMatchObject({
      kind: "invalid",
    });
  });

  it("watch reports puts and deletes under its prefix", async (coordination) => {
    const seen: string[] = [];
    const watching = coordination.watch("p/", ({ type, kv }) => seen.push(`${type} ${kv.key}`));
    await put(coordination, "p/a", "1");
    await put(coordination, "q/a", "1");
    await coordination.txn([], [{ op: "delete", key: "p/a" }]);
    watching[Symbol.dispose]();
    await put(coordination, "p/b", "1");
    expect(seen).toEqual(["put p/a", "delete p/a"]);
  });

  it("a lease that expires takes its keys along", async (coordination, clock) => {
    const lease = await coordination.grantLease(1000);
    await put(coordination, "a", "1", lease);
    await put(coordination, "b", "1");
    await clock.advance(999);
    expect(await coordination.get("a")).toBeDefined();
    await clock.advance(50);
    await eventually(async () => (await coordination.get("a")) === undefined);
    expect(await coordination.get("b")).toBeDefined();
  });

  it("keepAlive gives a lease its full time again", async (coordination, clock) => {
    const lease = await coordination.grantLease(1000);
    await put(coordination, "a", "1", lease);
    await clock.advance(900);
    await coordination.keepAlive(lease);
    await clock.advance(900);
    expect(await coordination.get("a")).toBeDefined();
    await clock.advance(200);
    await expect(coordination.keepAlive(lease)).rejects.toMatchObject({ code: "COORDINATION_LEASE_GONE" });
  });

  it("revokeLease deletes its keys at once", async (coordination) => {
    const lease = await coordination.grantLease(60_000);
    await put(coordination, "a", "1", lease);
    await coordination.revokeLease(lease);
    expect(await coordination.get("a")).toBeUndefined();
    await expect(put(coordination, "a", "1", lease)).rejects.toMatchObject({ kind: "not-found" });
  });

  it("campaign elects one candidate; the next follows when it withdraws", async (coordination) => {
    const seen: string[] = [];
    const candidate = (id: string): { onElected: () => void; onLost: () => void } => ({
      onElected: () => seen.push(`${id} leads`),
      onLost: () => seen.push(`${id} lost`),
    });
    const first = coordination.campaign("reaper", "a", candidate("a"));
    const second = coordination.campaign("reaper", "b", candidate("b"));
    expect(seen).toEqual(["a leads"]);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    expect(seen).toEqual(["a leads", "a lost", "b leads"]);
    second[Symbol.dispose]();
  });
}
