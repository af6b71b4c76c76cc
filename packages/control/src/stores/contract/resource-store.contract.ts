import type { MeshObject, ObjectKey } from "@tulle/api";
import { expect, test } from "vitest";

import type { ResourceStore, StoreEvent } from "../resource-store.js";

const GROUP = "networking.istio.io";

/** The behaviour that every {@link ResourceStore} has. `create` gives an empty one. */
export function describeResourceStore(name: string, create: () => ResourceStore): void {
  const it = (title: string, run: (store: ResourceStore) => Promise<void>): void =>
    test(`${name}: ${title}`, async () => {
      const store = create();
      try {
        await run(store);
      } finally {
        await store.close();
      }
    });

  it("get returns what create stored, with its resourceVersion", async (store) => {
    const created = await store.create(object("a"), key("a"));
    expect(Number(created.metadata.resourceVersion)).toBe(store.revision());
    expect(await store.get(key("a"))).toEqual(created);
  });

  it("get returns undefined when there is no such object", async (store) => {
    expect(await store.get(key("absent"))).toBeUndefined();
  });

  it("create refuses a name that is taken", async (store) => {
    await store.create(object("a"), key("a"));
    await expect(store.create(object("a"), key("a"))).rejects.toMatchObject({ kind: "already-exists" });
  });

  it("create lets one of two concurrent writers win", async (store) => {
    const results = await Promise.allSettled([
      store.create(object("a", 1), key("a")),
      store.create(object("a", 2), key("a")),
    ]);
    expect(results.map((result) => result.status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  it("update replaces the object at the expected revision", async (store) => {
    const first = await store.create(object("a", 1), key("a"));
    const second = await store.update(object("a", 2), key("a"), Number(first.metadata.resourceVersion));
    expect(second.spec).toEqual({ n: 2 });
    expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion));
  });

  it("update refuses a stale revision and changes nothing", async (store) => {
    const first = await store.create(object("a", 1), key("a"));
    await store.update(object("a", 2), key("a"), Number(first.metadata.resourceVersion));
    const stale = store.update(object("a", 3), key("a"), Number(first.metadata.resourceVersion));
    await expect(stale).rejects.toMatchObject({ kind: "conflict", code: "STORE_CONFLICT" });
    expect((await store.get(key("a")))?.spec).toEqual({ n: 2 });
  });

  it("update lets exactly one of many concurrent writers at one revision win", async (store) => {
    const first = await store.create(object("a", 0), key("a"));
    const expected = Number(first.metadata.resourceVersion);
    const tries = Array.from({ length: 20 }, (_, n) => store.update(object("a", n), key("a"), expected));
    const results = await Promise.allSettled(tries);
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
  });

  it("delete removes the object; a second delete finds nothing", async (store) => {
    await store.create(object("a"), key("a"));
    await store.delete(key("a"));
    expect(await store.get(key("a"))).toBeUndefined();
    await expect(store.delete(key("a"))).rejects.toMatchObject({ kind: "not-found" });
  });

  it("delete refuses a stale revision", async (store) => {
    const first = await store.create(object("a", 1), key("a"));
    await store.update(object("a", 2), key("a"), Number(first.metadata.resourceVersion));
    await expect(store.delete(key("a"), Number(first.metadata.resourceVersion))).rejects.toMatchObject({
      kind: "conflict",
    });
  });

  it("list selects by kind and namespace, in order of name", async (store) => {
    for (const at of [key("b"), key("a"), key("c", "other"), key("a", "default", "DestinationRule")]) {
      await store.create(object(at.name), at);
    }
    const inDefault = await store.list({ group: GROUP, kind: "VirtualService", namespace: "default" });
    expect(inDefault.objects.map((each) => each.metadata.name)).toEqual(["a", "b"]);
    expect((await store.list({ group: GROUP, kind: "VirtualService" })).objects).toHaveLength(3);
    expect((await store.list({})).objects).toHaveLength(4);
  });

  it("watch from a list misses nothing and repeats nothing", async (store) => {
    await store.create(object("before"), key("before"));
    const { revision } = await store.list({});
    const missed = await store.create(object("between"), key("between"));
    const seen: StoreEvent[] = [];
    const watching = store.watch({}, revision, (event) => seen.push(event));
    await store.update(object("between", 2), key("between"), Number(missed.metadata.resourceVersion));
    await store.delete(key("before"));
    watching[Symbol.dispose]();
    await store.create(object("after"), key("after"));
    expect(seen.map(({ type, key: { name: at } }) => `${type} ${at}`)).toEqual([
      "added between",
      "modified between",
      "deleted before",
    ]);
    expect(seen.map((event) => Number(event.object.metadata.resourceVersion))).toEqual(
      seen.map((event) => event.revision),
    );
  });

  it("watch reports only what its selector names", async (store) => {
    const seen: string[] = [];
    store.watch({ group: GROUP, kind: "DestinationRule" }, store.revision(), (event) =>
      seen.push(event.key.name),
    );
    await store.create(object("vs"), key("vs"));
    await store.create(object("dr"), key("dr", "default", "DestinationRule"));
    expect(seen).toEqual(["dr"]);
  });

  it("watch refuses a revision that is no longer kept", async (store) => {
    for (let n = 0; n < 12_000; n += 1000) {
      await Promise.all(
        Array.from({ length: 1000 }, (_, i) => store.create(object(`o${n + i}`), key(`o${n + i}`))),
      );
    }
    expect(() => store.watch({}, 1, () => undefined)).toThrow(
      expect.objectContaining({ code: "STORE_REVISION_GONE" }),
    );
    store.watch({}, store.revision(), () => undefined)[Symbol.dispose]();
  });

  it("revision grows with every write", async (store) => {
    const revisions: number[] = [];
    for (const at of ["a", "b", "c"]) {
      await store.create(object(at), key(at));
      revisions.push(store.revision());
    }
    expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
  });

  it("keys of any text stay apart", async (store) => {
    const odd = ["__proto__", "constructor", "a/b", "ü", "a.b"];
    for (const at of odd) await store.create(object(at), key(at));
    for (const at of odd) expect((await store.get(key(at)))?.metadata.name).toBe(at);
  });
}

export function key(name: string, namespace = "default", kind = "VirtualService"): ObjectKey {
  return { group: GROUP, kind, namespace, name };
}

export function object(name: string, n = 0): MeshObject {
  return {
    apiVersion: `${GROUP}/v1`,
    kind: "VirtualService",
    metadata: {
      name,
      namespace: "default",
      uid: `uid-${name}`,
      resourceVersion: "",
      generation: 1,
      creationTimestamp: "2026-01-01T00:00:00Z",
    },
    spec: { n },
  };
}
