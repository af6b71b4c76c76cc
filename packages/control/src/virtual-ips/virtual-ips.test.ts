import { silentLogger } from "@tulle/base";
import { FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import type { Coordination } from "../stores/coordination.js";
import { createMemoryStores } from "../stores/open.js";
import { BLOCK_SIZE, blockAddress, firstIndex } from "./address-block.js";
import { createVirtualIps, KEEP_RELEASED_MS, type VirtualIps } from "./virtual-ips.js";

function setup(clock = new FakeClock()) {
  const { coordination } = createMemoryStores({ clock });
  const open = (hosts: ReadonlySet<string>, store: Coordination = coordination): Promise<VirtualIps> =>
    createVirtualIps({
      coordination: store,
      hosts: () => hosts,
      clock,
      random: () => 0,
      logger: silentLogger,
    });
  return { clock, coordination, open };
}

test("createVirtualIps gives each host one address of the block and keeps it over a restart", async () => {
  const { open } = setup();
  const hosts = new Set(["a.default.svc.cluster.local", "b.default.svc.cluster.local"]);
  const first = await open(hosts);
  await first.settled();
  const given = [...hosts].map((host) => first.addressOf(host));
  expect(new Set(given).size).toBe(2);
  for (const ip of given) expect(ip).toMatch(/^240\.240\.\d+\.\d+$/);
  first[Symbol.dispose]();
  using second = await open(hosts);
  expect([...hosts].map((host) => second.addressOf(host))).toEqual(given);
  expect(second.addressOf("c")).toBeUndefined();
});

test("VirtualIps gives no address to another host for a day after its host is gone", async () => {
  const { clock, open, coordination } = setup();
  const hosts = new Set(["a"]);
  using ips = await open(hosts);
  await ips.settled();
  const ip = ips.addressOf("a");
  // A host whose search begins at the same address.
  const rival = rivalOf("a");
  hosts.delete("a");
  hosts.add(rival);
  ips.refresh();
  await ips.settled();
  expect(ips.addressOf("a")).toBeUndefined();
  expect(ips.addressOf(rival)).not.toBe(ip);
  await clock.advance(KEEP_RELEASED_MS - 1);
  await ips.settled();
  expect(await coordination.get(`virtual-ips/addresses/${ip}`)).toBeDefined();
  await clock.advance(3_600_000);
  await ips.settled();
  expect(await coordination.get(`virtual-ips/addresses/${ip}`)).toBeUndefined();
});

test("VirtualIps gives a host that comes back within the day its address again", async () => {
  const { clock, open } = setup();
  const hosts = new Set(["a"]);
  using ips = await open(hosts);
  await ips.settled();
  const ip = ips.addressOf("a");
  hosts.delete("a");
  ips.refresh();
  await ips.settled();
  await clock.advance(KEEP_RELEASED_MS / 2);
  hosts.add("a");
  ips.refresh();
  await ips.settled();
  expect(ips.addressOf("a")).toBe(ip);
});

test("VirtualIps of two control planes on one store never give one address twice", async () => {
  const { open } = setup();
  const rival = rivalOf("a");
  const [left, right] = await Promise.all([open(new Set(["a", "c"])), open(new Set([rival, "c"]))]);
  await Promise.all([left.settled(), right.settled()]);
  expect(left.addressOf("a")).not.toBe(right.addressOf(rival));
  expect(left.addressOf("c")).toBe(right.addressOf("c"));
  left[Symbol.dispose]();
  right[Symbol.dispose]();
});

test("VirtualIps gives a thousand hosts a thousand addresses", async () => {
  const { open } = setup();
  const hosts = new Set(Array.from({ length: 1000 }, (_, i) => `service-${i}`));
  using ips = await open(hosts);
  await ips.settled();
  expect(new Set([...hosts].map((host) => ips.addressOf(host) ?? "none")).size).toBe(1000);
});

test("VirtualIps tries again when the store fails, and tells of every change", async () => {
  const { clock, coordination, open } = setup();
  let failures = 2;
  const failing: Coordination = {
    ...coordination,
    get: (key) => coordination.get(key),
    range: (prefix) => coordination.range(prefix),
    txn: (compares, operations) =>
      failures-- > 0 ? Promise.reject(new Error("disk full")) : coordination.txn(compares, operations),
  };
  using ips = await open(new Set(["a"]), failing);
  let changes = 0;
  ips.onChanged(() => changes++);
  await ips.settled();
  expect(ips.addressOf("a")).toBeUndefined();
  await clock.advance(1000);
  await ips.settled();
  // What the failed tries had chosen is free again.
  expect(ips.addressOf("a")).toBe(blockAddress(firstIndex("a")));
  expect(changes).toBeGreaterThan(0);
});

test("blockAddress gives every address of the block once, none that ends in 0 or 255", () => {
  const all = new Set(Array.from({ length: BLOCK_SIZE }, (_, index) => blockAddress(index)));
  expect(all.size).toBe(BLOCK_SIZE);
  expect([...all].filter((address) => /\.(0|255)$/.test(address))).toEqual([]);
  expect(blockAddress(0)).toBe("240.240.0.1");
  expect(blockAddress(BLOCK_SIZE - 1)).toBe("240.240.255.254");
  expect(blockAddress(BLOCK_SIZE)).toBe("240.240.0.1");
});

function rivalOf(host: string): string {
  for (let i = 0; ; i++) if (firstIndex(`r${i}`) === firstIndex(host)) return `r${i}`;
}
