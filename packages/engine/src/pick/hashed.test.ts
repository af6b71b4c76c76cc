import { expect, test } from "vitest";

import { mix } from "../entropy.js";
import { xxHash64 } from "../hash/xxhash64.js";
import { createLoadTable, type SlotTable } from "../load/load-table.js";
import type { EndpointPart } from "../snapshot/contract.js";
import type { Draw } from "./balancer.js";
import { hashed, type LookupMaker } from "./hashed.js";
import { maglev } from "./maglev.js";
import { ringHash } from "./ring-hash.js";
import { createCandidates } from "./weighted-draw.js";

const ALGORITHMS: readonly (readonly [
  name: string,
  maker: LookupMaker,
  unevenness: number,
  moved: number,
])[] = [
  ["ring hash", ringHash({ hash: "xxhash", minSize: 1024, maxSize: 1 << 20 }), 0.35, 0],
  ["ring hash with murmur", ringHash({ hash: "murmur2", minSize: 1024, maxSize: 1 << 20 }), 0.35, 0],
  ["Maglev", maglev(65_537), 0.05, 0.03],
];

const KEYS = Array.from({ length: 4000 }, (_, index) => `user-${index}`);

function balanced(maker: LookupMaker, weights: Readonly<Record<string, number>>, balanceFactor = 0) {
  const load = createLoadTable({ maxSlots: 64 });
  const cluster = load.acquire("cluster:c");
  const endpoints = Object.keys(weights).map((key) => ({ key, slot: load.acquire(key) }) as EndpointPart);
  const balancer = hashed(maker, balanceFactor)(createCandidates(endpoints, Object.values(weights)));
  const draw: Draw = { load, clusterSlot: cluster, bits: 0, key: undefined, again: 0, now: 0 };
  const choose = (key: string, more: Partial<Draw> = {}): EndpointPart => {
    const { high, low } = xxHash64(key);
    return balancer.choose({ ...draw, key: { high, low }, ...more });
  };
  return { load, cluster, balancer, draw, choose };
}

function even(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`10.0.0.${index + 1}:80`, 1]));
}

function owners(maker: LookupMaker, weights: Readonly<Record<string, number>>): string[] {
  const { choose } = balanced(maker, weights);
  return KEYS.map((key) => choose(key).key);
}

function countsOf(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

test.each(ALGORITHMS)("%s spreads keys over endpoints, by weight", (_name, maker, unevenness) => {
  for (const [, count] of countsOf(owners(maker, even(10)))) {
    expect(Math.abs(count - 400) / 400).toBeLessThan(unevenness + 0.15);
  }
  const counts = countsOf(owners(maker, { "a:80": 1, "b:80": 3 }));
  expect(Math.abs(counts.get("b:80")! / 4000 - 0.75)).toBeLessThan(0.05);
});

test.each(ALGORITHMS)(
  "%s moves only the keys of an endpoint that goes",
  (_name, maker, _unevenness, moved) => {
    const before = owners(maker, even(10));
    const { "10.0.0.4:80": _gone, ...rest } = even(10);
    const after = owners(maker, rest);
    const others = before
      .map((owner, index) => [owner, after[index]!])
      .filter(([owner]) => owner !== "10.0.0.4:80");
    expect(others.filter(([owner, now]) => owner !== now).length / KEYS.length).toBeLessThanOrEqual(moved);
  },
);

test.each(ALGORITHMS)(
  "%s moves about one part in n+1 when an endpoint comes",
  (_name, maker, _uneven, moved) => {
    const before = owners(maker, even(9));
    const after = owners(maker, even(10));
    const changed = before.filter((owner, index) => owner !== after[index]).length / KEYS.length;
    expect(Math.abs(changed - 0.1)).toBeLessThan(0.04 + moved);
  },
);

test.each(ALGORITHMS)("%s does not depend on the order of endpoints", (_name, maker) => {
  const reversed = Object.fromEntries(Object.entries(even(10)).reverse());
  expect(owners(maker, reversed)).toEqual(owners(maker, even(10)));
});

test.each(ALGORITHMS)(
  "%s finds others for a key whose endpoint is not wanted, always the same",
  (_name, maker) => {
    const { choose } = balanced(maker, even(10));
    const path = (key: string) => [0, 1, 2, 3].map((again) => choose(key, { again }).key);
    expect(path("user-1")).toEqual(path("user-1"));
    expect(new Set(KEYS.slice(0, 200).flatMap((key) => path(key).slice(1))).size).toBe(10);
    expect(KEYS.filter((key) => path(key)[1] === path(key)[0]).length / KEYS.length).toBeLessThan(0.2);
  },
);

test.each(ALGORITHMS)("%s takes any endpoint for a request without a key", (_name, maker) => {
  const { balancer, draw } = balanced(maker, even(5));
  const names = Array.from(
    { length: 500 },
    (_, index) => balancer.choose({ ...draw, bits: mix(index, 0) }).key,
  );
  expect(countsOf(names).size).toBe(5);
});

test.each(ALGORITHMS)("%s keeps every endpoint within its bound, whatever the keys", (_name, maker) => {
  const { load, cluster, choose } = balanced(maker, even(10), 125);
  for (let count = 0; count < 400; count++) {
    const { slot } = choose("everybody's favourite");
    load.begin(cluster, slot);
  }
  expect(Math.max(...inFlight(load))).toBeLessThanOrEqual(Math.ceil(400 * 1.25 * 0.1));
});

function inFlight(load: SlotTable): number[] {
  return Object.keys(even(10)).map((key) => load.inFlight(load.acquire(key)));
}

test("the places of a ring are the hashes of address_0, address_1 and so on, as in Envoy", () => {
  const addresses = Object.keys(even(3));
  const { choose } = balanced(ringHash({ hash: "xxhash", minSize: 6, maxSize: 6 }), even(3));
  const places = addresses
    .flatMap((address) => [0, 1].map((place) => ({ address, at: xxHash64(`${address}_${place}`).upper53 })))
    .sort((left, right) => left.at - right.at);
  for (const key of KEYS.slice(0, 100)) {
    const wanted = xxHash64(key).upper53;
    expect(choose(key).key).toBe((places.find(({ at }) => at >= wanted) ?? places[0]!).address);
  }
});

test("a ring stays within its size, however unlike the weights are, and every endpoint has a place", () => {
  const maker = ringHash({ hash: "xxhash", minSize: 16, maxSize: 1024 });
  const { choose } = balanced(maker, { "a:1": 1, "b:1": 1000 });
  const counts = countsOf(KEYS.map((key) => choose(key).key));
  expect(counts.get("b:1")).toBeGreaterThan(3900);
});
