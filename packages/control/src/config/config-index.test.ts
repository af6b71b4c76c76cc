import type { MeshObject, ObjectKey } from "@tulle/api";
import { MeshError, silentLogger } from "@tulle/base";
import { FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import type { ResourceStore } from "../stores/resource-store.js";
import { createMemoryStores } from "../stores/open.js";
import { createConfigIndex, type ConfigChange } from "./config-index.js";

function object(name: string, namespace = "default", kind = "VirtualService", generation = 1) {
  const key: ObjectKey = { group: "networking.istio.io", kind, namespace, name };
  const value: MeshObject = {
    apiVersion: "networking.istio.io/v1",
    kind,
    metadata: {
      name,
      namespace,
      uid: name,
      resourceVersion: "",
      generation,
      creationTimestamp: "2026-01-01T00:00:00Z",
    },
    spec: {},
  };
  return { key, value };
}

async function add(store: ResourceStore, { key, value }: ReturnType<typeof object>): Promise<MeshObject> {
  return store.create(value, key);
}

function setup(wrap: (store: ResourceStore) => ResourceStore = (store) => store) {
  const clock = new FakeClock();
  const store = createMemoryStores({ clock }).resources;
  const open = () => createConfigIndex(wrap(store), { clock, logger: silentLogger, random: () => 0 });
  return { clock, store, open };
}

function names(objects: readonly MeshObject[]): readonly string[] {
  return objects.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
}

test("ConfigIndex shows what the store held before and what is written later, in order", async () => {
  const { store, open } = setup();
  await add(store, object("b"));
  await add(store, object("a", "zoo"));
  using index = open();
  await index.ready;
  await add(store, object("a"));
  await add(store, object("a", "default", "DestinationRule"));
  expect(names(index.objects("networking.istio.io", "VirtualService"))).toEqual([
    "default/a",
    "default/b",
    "zoo/a",
  ]);
  expect(index.size).toBe(4);
  expect(index.revision).toBe(store.revision());
  expect(index.objects("networking.istio.io", "Sidecar")).toEqual([]);
});

test("ConfigIndex follows updates and deletions and says which objects changed", async () => {
  const { store, open } = setup();
  const a = object("a");
  const created = await add(store, a);
  using index = open();
  await index.ready;
  const changes: ConfigChange[] = [];
  index.onChange((change) => changes.push(change));
  const before = index.objects(a.key.group, a.key.kind);
  expect(index.objects(a.key.group, a.key.kind)).toBe(before);

  await store.update(
    object("a", "default", "VirtualService", 2).value,
    a.key,
    Number(created.metadata.resourceVersion),
  );
  expect(index.get(a.key)?.metadata.generation).toBe(2);
  expect(index.objects(a.key.group, a.key.kind)).not.toBe(before);
  await store.delete(a.key);
  expect(index.get(a.key)).toBeUndefined();
  expect(index.size).toBe(0);
  expect(changes.map(({ keys }) => keys)).toEqual([[a.key], [a.key]]);
  expect(changes[1]?.revision).toBe(store.revision());
});

test("ConfigIndex tries again while the store fails", async () => {
  let failures = 2;
  const { clock, store, open } = setup((inner) => ({
    ...inner,
    list: (selector) => inner.list(selector),
    watch: (selector, from, listener) => {
      if (failures-- > 0) throw new MeshError("exhausted", "STORE_REVISION_GONE", "too old");
      return inner.watch(selector, from, listener);
    },
  }));
  await add(store, object("a"));
  using index = open();
  let ready = false;
  void index.ready.then(() => {
    ready = true;
  });
  await clock.advance(149);
  expect(ready).toBe(false);
  await clock.advance(1);
  expect(ready).toBe(true);
  expect(index.size).toBe(1);
});

test("ConfigIndex stops following once disposed", async () => {
  const { store, open } = setup();
  const index = open();
  await index.ready;
  index[Symbol.dispose]();
  await add(store, object("a"));
  expect(index.size).toBe(0);
  const never = open();
  never[Symbol.dispose]();
  await expect(never.ready).rejects.toMatchObject({ code: "CONTROL_INDEX_CLOSED" });
});
