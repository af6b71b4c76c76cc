import type { CatalogService } from "@tulle/api";
import { expect, test } from "vitest";

import { CatalogChanges, objectDependencies } from "./change-set.js";
import { testInstance } from "./testdata/ads-mesh.js";

const ENDPOINTS = "endpoints:default/a";
const SERVICE = "service:default/a";

function setup(first: CatalogService | undefined) {
  let service = first;
  const changes = new CatalogChanges({
    service: () => service,
    services: () => (service === undefined ? [] : [service]),
  });
  return (next: CatalogService | undefined): readonly string[] => {
    service = next;
    return [...changes.dependencies({ services: [{ namespace: "default", name: "a" }] })];
  };
}

const base: CatalogService = {
  name: "a",
  namespace: "default",
  ports: [{ number: 80, name: "http", protocol: "http" }],
  portless: false,
  instances: [testInstance("a", "h1"), testInstance("a", "h2")],
};

test("CatalogChanges names endpoints alone when only health, weight or number of instances changed", () => {
  const change = setup(base);
  const [one, two] = base.instances;
  expect(change({ ...base, instances: [{ ...one!, health: "critical" }, two!] })).toEqual([ENDPOINTS]);
  expect(change({ ...base, instances: [{ ...one!, weight: 5 }, two!] })).toEqual([ENDPOINTS]);
  expect(change({ ...base, instances: [one!] })).toEqual([ENDPOINTS]);
  expect(change({ ...base, instances: [one!, two!, testInstance("a", "h3")] })).toEqual([ENDPOINTS]);
});

test("CatalogChanges names the service, too, when its shape changed", () => {
  const change = setup(base);
  const [one, two] = base.instances;
  const both = [ENDPOINTS, SERVICE];
  expect(change({ ...base, instances: [one!, { ...two!, serviceAccount: "other" }] })).toEqual(both);
  expect(change({ ...base, instances: [one!, { ...two!, meshAddress: { host: "m", port: 1 } }] })).toEqual(
    both,
  );
  expect(change({ ...base, ports: [{ number: 81, name: "http", protocol: "http" }] })).toEqual(both);
  expect(change({ ...base, portless: true })).toEqual(both);
});

test("CatalogChanges names the service when it comes and when it goes", () => {
  const change = setup(undefined);
  expect(change(base)).toEqual([ENDPOINTS, SERVICE]);
  expect(change(base)).toEqual([ENDPOINTS]);
  expect(change(undefined)).toEqual([ENDPOINTS, SERVICE]);
  expect(change(undefined)).toEqual([ENDPOINTS]);
});

test("CatalogChanges also names the lower-case spelling, under which a missing service was looked for", () => {
  const changes = new CatalogChanges({ service: () => base, services: () => [] });
  expect([...changes.dependencies({ services: [{ namespace: "default", name: "Shop" }] })]).toEqual([
    "endpoints:default/Shop",
    "service:default/Shop",
    "service:default/shop",
  ]);
});

test("objectDependencies names each kind once", () => {
  const key = { group: "networking.istio.io", kind: "VirtualService", namespace: "default" };
  expect([
    ...objectDependencies([
      { ...key, name: "a" },
      { ...key, name: "b" },
      { ...key, group: "", kind: "Secret", name: "c" },
    ]),
  ]).toEqual(["objects:networking.istio.io/VirtualService", "objects:/Secret"]);
});
