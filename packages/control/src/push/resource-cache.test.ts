import { silentLogger } from "@tulle/base";
import type { ClientView, MeshReader } from "@tulle/translate";
import { CLUSTER_TYPE, ENDPOINT_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";

import { viewKey } from "./client-view.js";
import { ResourceCache, type ResourceSubscriber } from "./resource-cache.js";
import { TestCatalog, testTranslate } from "./testdata/ads-mesh.js";

const view: ClientView = { dialect: "tulle", namespace: "default", mtls: true, labels: {}, inbound: [] };

function setup() {
  const catalog = new TestCatalog();
  const { translate, calls } = testTranslate();
  const reader: MeshReader = {
    settings: { trustDomain: "cluster.local", domainSuffix: "cluster.local", rootNamespace: "istio-system" },
    catalog,
    objects: () => [],
  };
  return { catalog, calls, cache: new ResourceCache({ reader, translate, logger: silentLogger }) };
}

function subscriber() {
  const stale: string[] = [];
  const each: ResourceSubscriber & { readonly stale: string[] } = {
    stale,
    onStale: (name) => stale.push(name),
  };
  return each;
}

test("ResourceCache translates once for all clients with the same view, and again only after a change", () => {
  const { cache, catalog, calls } = setup();
  catalog.set("a", ["h1"]);
  const [one, two] = [cache.openView(view), cache.openView({ ...view, labels: {} })];
  const other = cache.openView({ ...view, namespace: "shop" });
  const [first, second] = [one, two].map((each) => cache.subscribe(each, CLUSTER_TYPE, "a", subscriber()));
  expect(cache.resolve(first!)).toBe(cache.resolve(second!));
  expect(calls).toHaveLength(1);
  cache.resolve(cache.subscribe(other, CLUSTER_TYPE, "a", subscriber()));
  expect(calls).toHaveLength(2);
  cache.invalidate(["endpoints:default/a"], 0);
  cache.resolve(first!);
  expect(calls).toHaveLength(2);
  cache.invalidate(["service:default/a"], 0);
  cache.resolve(first!);
  cache.resolve(second!);
  expect(calls).toHaveLength(3);
});

test("ResourceCache tells the subscribers of what a change concerns, also of what did not exist", () => {
  const { cache, catalog } = setup();
  const scope = cache.openView(view);
  const endpoints = subscriber();
  const clusters = subscriber();
  const a = cache.subscribe(scope, ENDPOINT_TYPE, "a", endpoints);
  expect(cache.resolve(a)).toBeUndefined();
  cache.resolve(cache.subscribe(scope, CLUSTER_TYPE, "a", clusters));
  catalog.set("a", ["h1"]);
  cache.invalidate(["endpoints:default/a"], 0);
  expect(endpoints.stale).toEqual(["a"]);
  expect(clusters.stale).toEqual([]);
  expect(cache.resolve(a)?.name).toBe("a");
});

test("ResourceCache forgets a resource with its last subscriber", () => {
  const { cache, calls } = setup();
  const scope = cache.openView(view);
  const [one, two] = [subscriber(), subscriber()];
  const entry = cache.subscribe(scope, CLUSTER_TYPE, "a", one);
  cache.subscribe(scope, CLUSTER_TYPE, "a", two);
  cache.resolve(entry);
  cache.unsubscribe(entry, one);
  expect(cache.size).toBe(1);
  cache.unsubscribe(entry, two);
  expect([cache.size, cache.dependencies]).toEqual([0, 0]);
  cache.invalidate(["service:default/a"], 0);
  expect([one.stale, two.stale]).toEqual([[], []]);
  cache.resolve(cache.subscribe(scope, CLUSTER_TYPE, "a", one));
  expect(calls).toHaveLength(2);
});

test("ResourceCache finds by a new translation what no change told of, at the second look", () => {
  const { cache, catalog, calls } = setup();
  catalog.set("a", ["h1"]);
  const each = subscriber();
  const a = cache.subscribe(cache.openView(view), ENDPOINT_TYPE, "a", each);
  cache.resolve(a);
  expect(cache.audit(a, 0, 60_000)).toBe(false);
  // Nobody says so.
  catalog.set("a", ["h2"]);
  expect(cache.audit(a, 59_999, 60_000)).toBe(false);
  expect(calls).toHaveLength(2);
  expect([cache.audit(a, 60_000, 60_000), each.stale]).toEqual([false, []]);
  // Another client of this view comes at once: the news may be on its way.
  expect([cache.audit(a, 60_999, 60_000), each.stale]).toEqual([false, []]);
  // What is suspected is looked at again soon.
  expect([cache.audit(a, 61_000, 60_000), each.stale]).toEqual([true, ["a"]]);
  expect(cache.resolve(a)?.version).toBe("tulle:a=h2");
  expect(cache.audit(a, 200_000, 60_000)).toBe(false);
});

test("ResourceCache audits nothing that is about to be made anew, and forgets a suspicion that was none", () => {
  const { cache, catalog } = setup();
  catalog.set("a", ["h1"]);
  const a = cache.subscribe(cache.openView(view), ENDPOINT_TYPE, "a", subscriber());
  cache.resolve(a);
  catalog.set("a", ["h2"]);
  expect(cache.audit(a, 0, 1000)).toBe(false);
  catalog.set("a", ["h1"]);
  expect(cache.audit(a, 1000, 1000)).toBe(false);
  catalog.set("a", ["h2"]);
  expect(cache.audit(a, 2000, 1000)).toBe(false);
  cache.invalidate(["endpoints:default/a"], 0);
  expect(cache.audit(a, 3000, 1000)).toBe(false);
});

test("viewKey is equal for equal views in any order and differs for others", () => {
  const port = { service: "a", namespace: "default", servicePort: 80, appPort: 1 };
  const one = { ...view, labels: { a: "1", b: "2" }, inbound: [port, { ...port, service: "b" }] };
  const two = { ...view, labels: { b: "2", a: "1" }, inbound: [{ ...port, service: "b" }, port] };
  expect(viewKey(one)).toBe(viewKey(two));
  expect(viewKey({ ...one, mtls: false })).not.toBe(viewKey(one));
  expect(viewKey({ ...view, labels: { a: "1" } })).not.toBe(viewKey(view));
});
