import { fromBinary } from "@bufbuild/protobuf";
import { createLogger } from "@tulle/base";
import type { DnsSettings, ResourceChange, SnapshotSource } from "@tulle/engine";
import { FakeClock } from "@tulle/testkit";
import { RESOLVED_NAMES_TYPE } from "@tulle/xds";
import { ResolvedNamesSchema } from "@tulle/xds/gen/tulle/v1/resolved_names_pb.js";
import { expect, onTestFinished, test } from "vitest";

import { MetricsRegistry } from "../telemetry/metrics.js";
import { prometheusText } from "../telemetry/prometheus-text.js";
import { ClusterNames } from "./cluster-names.js";
import { ofFamily, type Found } from "./system-lookup.js";

const SETTINGS: DnsSettings = {
  names: ["a.example"],
  family: "v4",
  oneAddress: false,
  refreshMs: 60_000,
  respectTtl: true,
  failureMs: 5000,
  maxFailureMs: 20_000,
};

/** Lookups that end when the test says so. */
function resolving(clusters: Record<string, DnsSettings>, known: readonly string[] = []) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const waiting: { name: string; found(found: Found): void; lost(): void }[] = [];
  const applied: [string, Record<string, string[]>][] = [];
  const log: string[] = [];
  const held = new Set(known);
  const metrics = new MetricsRegistry();
  let changes = 0;
  const configuration = {
    named: () => Object.entries(clusters),
    version: (_type: string, name: string) => (held.has(name) ? "1" : ""),
    apply: (list: readonly ResourceChange[]) => {
      for (const { typeUrl, name, bytes } of list) {
        expect(typeUrl).toBe(RESOLVED_NAMES_TYPE);
        const { names } = fromBinary(ResolvedNamesSchema, bytes!);
        applied.push([name, Object.fromEntries(names.map((one) => [one.name, one.addresses]))]);
        held.add(name);
      }
      return [];
    },
  } as unknown as SnapshotSource;
  const names = new ClusterNames({
    clock,
    logger: createLogger({ level: "info", write: (line) => log.push(line), now: () => 0 }),
    metrics,
    configuration,
    lookUp: (name) =>
      new Promise((resolve, reject) => {
        asked.push(name);
        waiting.push({ name, found: resolve, lost: () => reject(new Error("ENOTFOUND")) });
      }),
    random: () => 0,
    onChanged: () => void changes++,
  });
  onTestFinished(() => names[Symbol.dispose]());
  const next = async (end: (one: (typeof waiting)[number]) => void): Promise<void> => {
    end(waiting.shift()!);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    clock,
    names,
    asked,
    waiting,
    applied,
    log,
    clusters,
    metrics,
    changes: () => changes,
    found: (addresses: readonly string[], ttlMs?: number) => next((one) => one.found({ addresses, ttlMs })),
    lost: () => next((one) => one.lost()),
  };
}

test("a name is looked up when its cluster comes, and again when its records are old", async () => {
  const dns = resolving({ c: SETTINGS });
  dns.names.refresh();
  dns.names.refresh();
  expect(dns.asked).toEqual(["a.example"]);
  await dns.found(["10.0.0.2", "10.0.0.1"], 30_000);
  expect(dns.applied).toEqual([["c", { "a.example": ["10.0.0.1", "10.0.0.2"] }]]);
  await dns.clock.advance(29_000);
  expect(dns.asked).toHaveLength(1);
  await dns.clock.advance(1000);
  expect(dns.asked).toHaveLength(2);
  // The same in another order is nothing new.
  await dns.found(["10.0.0.1", "10.0.0.2"], 0);
  expect([dns.applied.length, dns.changes()]).toEqual([1, 1]);
  await dns.clock.advance(59_000);
  expect(dns.asked).toHaveLength(2);
  await dns.clock.advance(1000);
  await dns.found(["10.0.0.3"], 1);
  expect(dns.applied.at(-1)).toEqual(["c", { "a.example": ["10.0.0.3"] }]);
  // Records of a millisecond are asked for once a second.
  await dns.clock.advance(999);
  expect(dns.asked).toHaveLength(3);
  await dns.clock.advance(1);
  expect(dns.asked).toHaveLength(4);
  expect(prometheusText(dns.metrics)).toContain('tulle_dns_lookups_total{result="success"} 3');
});

test("what was found counts while lookups fail, which are tried again later and later", async () => {
  const dns = resolving({ c: SETTINGS });
  dns.names.refresh();
  await dns.found(["10.0.0.1"]);
  await dns.clock.advance(60_000);
  for (const wait of [5000, 10_000, 20_000, 20_000]) {
    const before = dns.asked.length;
    await dns.lost();
    await dns.clock.advance(wait - 1);
    expect(dns.asked).toHaveLength(before);
    await dns.clock.advance(1);
    expect(dns.asked).toHaveLength(before + 1);
  }
  expect(dns.applied).toHaveLength(1);
  await dns.found(["10.0.0.9"]);
  expect(dns.applied.at(-1)).toEqual(["c", { "a.example": ["10.0.0.9"] }]);
  expect(dns.log.map((line) => /does not resolve|resolves again/.exec(line)?.[0])).toEqual([
    "does not resolve",
    "resolves again",
  ]);
});

test("a name that does not resolve, or not in time, stands for nothing, unless more is known from before a restart", async () => {
  const dns = resolving({ lost: SETTINGS, slow: { ...SETTINGS, names: ["b.example"] } });
  dns.names.refresh();
  await dns.lost();
  expect(dns.applied).toEqual([["lost", { "a.example": [] }]]);
  await dns.clock.advance(5000);
  expect(dns.applied.at(-1)).toEqual(["slow", { "b.example": [] }]);
  dns.waiting[0]!.found({ addresses: ["10.0.0.5"], ttlMs: undefined });
  await new Promise((resolve) => setImmediate(resolve));
  expect(dns.applied.at(-1)).toEqual(["slow", { "b.example": ["10.0.0.5"] }]);
  const restarted = resolving({ c: SETTINGS }, ["c"]);
  restarted.names.refresh();
  await restarted.lost();
  expect(restarted.applied).toEqual([]);
});

test("of a logical name one address is used; clusters wait for all of their names; few lookups run at once", async () => {
  const many = Array.from({ length: 5 }, (_, index) => `n${index}.example`);
  const dns = resolving({ c: { ...SETTINGS, names: many, oneAddress: true } });
  dns.names.refresh();
  expect(dns.asked).toHaveLength(2);
  for (let index = 0; index < 5; index++) {
    expect(dns.applied).toEqual([]);
    await dns.found([`10.0.0.${index}`, "10.9.9.9"]);
  }
  expect(dns.applied[0]?.[1]).toEqual(
    Object.fromEntries(many.map((name, index) => [name, [`10.0.0.${index}`]])),
  );
});

test("nobody asks for a cluster that is gone, and its answer changes nothing", async () => {
  const dns = resolving({ c: SETTINGS });
  dns.names.refresh();
  delete dns.clusters["c"];
  dns.names.refresh();
  await dns.found(["10.0.0.1"]);
  await dns.clock.advance(600_000);
  expect([dns.asked.length, dns.applied]).toEqual([1, []]);
});

test("ofFamily takes the addresses that are wanted", () => {
  const found = [
    { address: "fd00::1", family: 6 },
    { address: "10.0.0.1", family: 4 },
    { address: "10.0.0.1", family: 4 },
  ];
  const of = (family: DnsSettings["family"], list = found) => ofFamily(list, family);
  expect([of("v4"), of("v6")]).toEqual([["10.0.0.1"], ["fd00::1"]]);
  expect([of("v4-preferred"), of("v6-preferred")]).toEqual([["10.0.0.1"], ["fd00::1"]]);
  expect([of("v6-preferred", found.slice(1)), of("v4", found.slice(0, 1))]).toEqual([["10.0.0.1"], []]);
  expect(of("all")).toEqual(["10.0.0.1", "fd00::1"]);
});
