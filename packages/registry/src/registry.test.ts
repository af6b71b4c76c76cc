import { servingInstances, type CatalogChange } from "@tulle/api";
import { silentLogger } from "@tulle/base";
import { eventually, FakeClock, settle } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";
import type { ProbeResult } from "./checks/probe.js";
import { checkDefinition, serviceDefinition, type CheckDefinition } from "./definition.js";
import { createMemoryPersistence, type RegistryPersistence } from "./persistence.js";
import { createRegistry, type Registry, type RegistryOptions } from "./registry.js";

const clock = new FakeClock();
const started: Registry[] = [];
afterEach(() => {
  for (const registry of started.splice(0)) registry[Symbol.dispose]();
  expect(clock.pending).toBe(0);
});

async function start(options: Partial<RegistryOptions> = {}): Promise<Registry> {
  const persistence = createMemoryPersistence();
  const registry = createRegistry({ clock, random: () => 0, logger: silentLogger, persistence, ...options });
  started.push(registry);
  await registry.start();
  return registry;
}

const api = (id: string, port = 80) => serviceDefinition({ name: "api", id, port });
const ttl = (id: string, extra: Partial<CheckDefinition> = {}): CheckDefinition =>
  checkDefinition({ id, probe: { kind: "ttl", ttlMs: 10_000 }, ...extra });
const http = (id: string, extra: Partial<CheckDefinition> = {}): CheckDefinition =>
  checkDefinition({
    id,
    probe: {
      kind: "http",
      url: "http://x/",
      method: "GET",
      headers: {},
      body: "",
      tlsSkipVerify: false,
      tlsServerName: "",
    },
    intervalMs: 5000,
    ...extra,
  });
const healths = (registry: Registry) =>
  registry.catalog.service("default", "api")?.instances.map(({ id, health }) => `${id} ${health}`);

test("registerService is seen and told to listeners before it resolves, once", async () => {
  const registry = await start();
  const changes: (CatalogChange & { seen: unknown })[] = [];
  registry.catalog.onChanged((change) => changes.push({ ...change, seen: healths(registry) }));
  await registry.registerService(api("a"), []);
  await registry.registerService(api("a"), []);
  expect(changes).toEqual([{ services: [{ namespace: "default", name: "api" }], seen: ["tulle/a passing"] }]);
});

test("registerService acknowledges and shows nothing before it is stored, and nothing when storing fails", async () => {
  const memory = createMemoryPersistence();
  let release: (() => void) | undefined;
  let broken = false;
  const persistence: RegistryPersistence = {
    ...memory,
    async put(key, value) {
      if (key === "index") return memory.put(key, value);
      if (broken) throw new Error("disk full");
      await new Promise<void>((resolve) => (release = resolve));
      return memory.put(key, value);
    },
  };
  const registry = await start({ persistence });
  let acknowledged = false;
  const registering = registry.registerService(api("a"), []).then(() => (acknowledged = true));
  await settle();
  expect([acknowledged, healths(registry)]).toEqual([false, undefined]);
  release?.();
  await registering;
  expect(healths(registry)).toEqual(["tulle/a passing"]);
  broken = true;
  await expect(registry.registerService(api("b"), [])).rejects.toMatchObject({ kind: "unavailable" });
  expect(healths(registry)).toEqual(["tulle/a passing"]);
});

test("a TTL check is critical until told, passes, and expires without a word", async () => {
  const registry = await start();
  await registry.registerService(api("a"), [ttl("t")]);
  expect(healths(registry)).toEqual(["tulle/a critical"]);
  registry.updateTtlCheck("default", "t", "passing", "fine");
  expect(healths(registry)).toEqual(["tulle/a passing"]);
  await clock.advance(9999);
  registry.updateTtlCheck("default", "t", "passing", "");
  await clock.advance(9999);
  expect(healths(registry)).toEqual(["tulle/a passing"]);
  await clock.advance(1);
  expect(healths(registry)).toEqual(["tulle/a critical"]);
});

test("registering again keeps what is known of the health, and the checks that are not given again", async () => {
  const registry = await start();
  await registry.registerService(api("a"), [ttl("t"), ttl("u", { initialStatus: "passing" })]);
  registry.updateTtlCheck("default", "t", "passing", "");
  await registry.registerService(api("a", 81), [ttl("t")]);
  expect(healths(registry)).toEqual(["tulle/a passing"]);
  registry.updateTtlCheck("default", "u", "critical", "");
  expect(healths(registry)).toEqual(["tulle/a critical"]);
  await registry.registerService(api("a", 81), [ttl("t")], { replaceChecks: true });
  expect(healths(registry)).toEqual(["tulle/a passing"]);
});

test("a restart brings registrations and last known health back, with a full TTL of grace and a higher index", async () => {
  const persistence = createMemoryPersistence();
  const first = await start({ persistence });
  await first.registerService(api("a"), [ttl("t")]);
  await first.registerService(serviceDefinition({ name: "../x", id: "../x", namespace: "shop" }), []);
  await first.setServiceMaintenance("shop", "../x", true, "");
  first.updateTtlCheck("default", "t", "passing", "");
  await first.stored();
  const index = first.catalog.index.current;
  await clock.advance(9000);
  first[Symbol.dispose]();
  const second = await start({ persistence, node: { name: "renamed", address: "10.0.0.1" } });
  expect(healths(second)).toEqual(["renamed/a passing"]);
  expect(second.catalog.index.of("services")).toBeGreaterThan(index);
  expect([...(second.catalog.registrations("shop", "../x")[0]?.checks.values() ?? [])]).toMatchObject([
    { status: "critical" },
  ]);
  await clock.advance(9000);
  expect(healths(second)).toEqual(["renamed/a passing"]);
  await clock.advance(1000);
  expect(healths(second)).toEqual(["renamed/a critical"]);
});

test("a damaged record is left out and the rest is loaded", async () => {
  const persistence = createMemoryPersistence();
  const first = await start({ persistence });
  await first.registerService(api("a"), []);
  await persistence.put("services/@/default/broken", Buffer.from("{"));
  await persistence.put("services/@/default/future", Buffer.from(JSON.stringify({ format: 99 })));
  const second = await start({ persistence });
  expect(healths(second)).toEqual(["tulle/a passing"]);
});

test("heartbeats are not written, transitions are", async () => {
  const memory = createMemoryPersistence();
  const puts: string[] = [];
  const persistence: RegistryPersistence = {
    ...memory,
    put: (key, value) => {
      puts.push(key);
      return memory.put(key, value);
    },
  };
  const registry = await start({ persistence });
  await registry.registerService(api("a"), [ttl("t")]);
  puts.length = 0;
  for (let i = 0; i < 10; i++) registry.updateTtlCheck("default", "t", "passing", `beat ${i}`);
  await registry.stored();
  expect(puts).toEqual(["services/@/default/a"]);
});

test("a probe runs at once, then each interval, never beside itself", async () => {
  const pending: ((result: ProbeResult) => void)[] = [];
  let running = 0;
  let most = 0;
  const registry = await start({
    probe: () =>
      new Promise((resolve) => {
        most = Math.max(most, ++running);
        pending.push((result) => {
          running -= 1;
          resolve(result);
        });
      }),
  });
  await registry.registerService(api("a"), [http("h")]);
  await clock.advance(0);
  expect(pending).toHaveLength(1);
  await clock.advance(8000);
  expect(pending).toHaveLength(1);
  pending[0]?.({ status: "passing", output: "ok" });
  await clock.advance(0);
  expect(healths(registry)).toEqual(["tulle/a passing"]);
  expect(pending).toHaveLength(2);
  pending[1]?.({ status: "critical", output: "no" });
  await clock.advance(4999);
  expect(pending).toHaveLength(2);
  await clock.advance(1);
  expect([pending.length, most, healths(registry)]).toEqual([3, 1, ["tulle/a critical"]]);
});

test("a probe that does not answer in its timeout is critical", async () => {
  const registry = await start({
    probe: (_, __, signal) =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve({ status: "passing", output: "late" }));
      }),
  });
  await registry.registerService(api("a"), [http("h", { timeoutMs: 2000, initialStatus: "passing" })]);
  await clock.advance(1999);
  expect(healths(registry)).toEqual(["tulle/a passing"]);
  await clock.advance(1);
  expect(healths(registry)).toEqual(["tulle/a critical"]);
  expect(registry.catalog.registrations("default", "api")[0]?.checks.get("h")?.output).toMatch(/2000 ms/);
});

test("a removed check's late result is not heard", async () => {
  let finish: ((result: ProbeResult) => void) | undefined;
  const registry = await start({ probe: () => new Promise((resolve) => (finish = resolve)) });
  await registry.registerService(api("a"), [http("h")]);
  await clock.advance(0);
  await registry.deregisterService("default", "a");
  await registry.registerService(api("a"), [ttl("h", { initialStatus: "passing" })]);
  finish?.({ status: "critical", output: "late" });
  await clock.advance(0);
  expect(healths(registry)).toEqual(["tulle/a passing"]);
});

test("probes beyond the limit wait for a slot, and all get one", async () => {
  const running: (() => void)[] = [];
  let runs = 0;
  const registry = await start({
    maxConcurrentChecks: 2,
    probe: async () => {
      await new Promise<void>((resolve) => running.push(resolve));
      runs += 1;
      return { status: "passing", output: "" };
    },
  });
  for (let i = 0; i < 5; i++) await registry.registerService(api(`a${i}`), [http(`h${i}`)]);
  const most: number[] = [];
  for (let round = 0; round < 3; round++) {
    await clock.advance(0);
    most.push(running.length);
    for (const finish of running.splice(0)) finish();
    await clock.advance(0);
  }
  expect([most, runs]).toEqual([[2, 2, 1], 5]);
});

test("a service critical for longer than allowed is deregistered by the reaper, at the earliest after a minute", async () => {
  const registry = await start();
  await registry.registerService(api("a"), [ttl("t", { deregisterAfterMs: 1000 })]);
  await registry.registerService(api("b"), [ttl("u")]);
  await clock.advance(59_000);
  expect(healths(registry)).toHaveLength(2);
  await clock.advance(31_000);
  await registry.stored();
  expect(healths(registry)).toEqual(["tulle/b critical"]);
});

test("maintenance of the node and its own checks concern every service on it", async () => {
  const registry = await start();
  await registry.registerService(api("a"), []);
  await registry.setNodeMaintenance(true, "reboot");
  expect(healths(registry)).toEqual(["tulle/a maintenance"]);
  await registry.setNodeMaintenance(false, "");
  await registry.registerCheck(ttl("disk", { initialStatus: "warning" }));
  expect(healths(registry)).toEqual(["tulle/a warning"]);
  await registry.deregisterCheck("default", "disk");
  expect(healths(registry)).toEqual(["tulle/a passing"]);
});

test("a check id belongs to one service", async () => {
  const registry = await start();
  await registry.registerService(api("a"), [ttl("t")]);
  await expect(registry.registerService(api("b"), [ttl("t")])).rejects.toMatchObject({
    kind: "invalid",
    code: "REGISTRY_CHECK_ID_TAKEN",
  });
  await registry.deregisterService("default", "a");
  await registry.registerService(api("b"), [ttl("t")]);
});

test("registrations beyond the limit are refused, replacements are not", async () => {
  const registry = await start({ maxServices: 1 });
  await registry.registerService(api("a"), []);
  await expect(registry.registerService(api("b"), [])).rejects.toMatchObject({ code: "REGISTRY_FULL" });
  await registry.registerService(api("a", 81), []);
});

test("registrations that the store could not hold are refused", async () => {
  const registry = await start();
  const probe = { ...http("x").probe, body: "x".repeat(60_000) };
  const checks = Array.from({ length: 10 }, (_, i) => http(`h${i}`, { probe }));
  await expect(registry.registerService(api("a"), checks)).rejects.toMatchObject({ kind: "invalid" });
  await registry.registerService(api("a"), checks.slice(0, 2));
});

test("changes of one service come out in the order they were asked for", async () => {
  const registry = await start();
  const asked = [
    registry.registerService(api("a", 1), []),
    registry.deregisterService("default", "a"),
    registry.registerService(api("a", 2), []),
  ];
  await Promise.all(asked);
  expect(registry.catalog.service("default", "api")?.instances.map(({ address }) => address.port)).toEqual([
    2,
  ]);
});

test("checksEnabled false runs nothing and still takes words from applications", async () => {
  let probes = 0;
  const registry = await start({
    checksEnabled: false,
    probe: () => {
      probes += 1;
      return Promise.resolve({ status: "passing", output: "" });
    },
  });
  await registry.registerService(api("a"), [http("h", { initialStatus: "passing" }), ttl("t")]);
  registry.updateTtlCheck("default", "t", "passing", "");
  await clock.advance(60_000);
  expect([probes, healths(registry)]).toEqual([0, ["tulle/a passing"]]);
});

async function threeByTtl(options: Partial<RegistryOptions> = {}): Promise<Registry> {
  const registry = await start(options);
  for (const id of ["a", "b", "c", "d"]) {
    await registry.registerService(api(id), [ttl(`ttl:${id}`, { deregisterAfterMs: 60_000 })]);
    registry.updateTtlCheck("default", `ttl:${id}`, "passing", "");
  }
  return registry;
}
const served = (registry: Registry, threshold?: number) =>
  servingInstances(registry.catalog.service("default", "api")?.instances ?? [], threshold).map(
    ({ id }) => id,
  );

test("instances that fall silent together are kept as last known, and not deregistered for a day", async () => {
  const registry = await threeByTtl();
  await clock.advance(11_000);
  expect(healths(registry)?.every((text) => text.endsWith("critical"))).toBe(true);
  expect(served(registry)).toEqual(["tulle/a", "tulle/b", "tulle/c", "tulle/d"]);
  expect(served(registry, 0)).toEqual([]);
  await clock.advance(10 * 60_000);
  expect(served(registry)).toHaveLength(4);
  // One that is heard of again is enough: the rest is gone as ever.
  registry.updateTtlCheck("default", "ttl:a", "passing", "");
  expect(served(registry)).toEqual(["tulle/a"]);
});

test("silent instances of a protected service go after a day", async () => {
  const registry = await threeByTtl();
  for (let hour = 0; hour < 25; hour++) await clock.advance(3_600_000);
  await eventually(() => registry.catalog.service("default", "api") === undefined);
});

test("what says that it is down is believed, however many say so", async () => {
  const registry = await threeByTtl();
  for (const id of ["a", "b", "c", "d"]) registry.updateTtlCheck("default", `ttl:${id}`, "critical", "");
  expect(served(registry)).toEqual([]);
  // Silence comes after, and changes nothing of what it said.
  await clock.advance(11_000);
  expect(served(registry)).toEqual([]);
});

test("one or two that fall silent are gone", async () => {
  const registry = await start();
  for (const id of ["a", "b"]) {
    await registry.registerService(api(id), [ttl(`ttl:${id}`)]);
    registry.updateTtlCheck("default", `ttl:${id}`, "passing", "");
  }
  await clock.advance(11_000);
  expect(served(registry)).toEqual([]);
});

const alias = (
  id: string,
  service: string,
  extra: Partial<CheckDefinition> = {},
  node = "",
): CheckDefinition => checkDefinition({ id, probe: { kind: "alias", node, service }, ...extra });
const checkOf = (registry: Registry, service: string, id: string) => {
  const state = registry.catalog.node("tulle")?.services.get(`default\0${service}`)?.checks.get(id);
  return state && `${state.status}: ${state.output}`;
};

test("an alias check says what the service behind it says, and its node", async () => {
  const registry = await start();
  await registry.registerService(api("front"), [alias("a", "back")]);
  await settle();
  expect(checkOf(registry, "front", "a")).toBe("critical: Service back could not be found on node tulle");
  await registry.registerService(serviceDefinition({ name: "back" }), []);
  await settle();
  expect(checkOf(registry, "front", "a")).toBe("passing: No checks found.");
  expect(healths(registry)).toEqual(["tulle/front passing"]);

  await registry.registerService(serviceDefinition({ name: "back" }), [ttl("t"), ttl("u")]);
  registry.updateTtlCheck("default", "t", "passing", "");
  registry.updateTtlCheck("default", "u", "warning", "slow");
  await settle();
  expect(checkOf(registry, "front", "a")).toBe('warning: Aliased check "u" failing: slow');
  registry.updateTtlCheck("default", "t", "critical", "gone");
  await settle();
  expect(checkOf(registry, "front", "a")).toBe('critical: Aliased check "t" failing: gone');
  expect(healths(registry)).toEqual(["tulle/front critical"]);
  registry.updateTtlCheck("default", "t", "passing", "");
  registry.updateTtlCheck("default", "u", "passing", "");
  await settle();
  expect(checkOf(registry, "front", "a")).toBe("passing: All checks passing.");

  await registry.setNodeMaintenance(true, "");
  await settle();
  expect(checkOf(registry, "front", "a")).toContain('critical: Aliased check "Node Maintenance Mode"');
  await registry.setNodeMaintenance(false, "");
  await registry.deregisterService("default", "back");
  await settle();
  expect(checkOf(registry, "front", "a")).toContain("critical: Service back could not be found");
});

test("an alias of a node goes by the node's checks alone, on another node, too", async () => {
  const registry = await start();
  const node = (status: "passing" | "critical") =>
    registry.registerNode({
      node: { name: "db-1", address: "10.0.0.1", id: "", meta: {}, taggedAddresses: {} },
      checks: [
        {
          definition: checkDefinition({ id: "disk", probe: { kind: "none" }, initialStatus: status }),
          output: "full",
        },
      ],
    });
  await registry.registerService(api("front"), [alias("a", "", {}, "db-1")]);
  await settle();
  expect(checkOf(registry, "front", "a")).toBe("critical: Node db-1 could not be found");
  await node("passing");
  await settle();
  expect(checkOf(registry, "front", "a")).toBe("passing: All checks passing.");
  await node("critical");
  await settle();
  expect(checkOf(registry, "front", "a")).toBe('critical: Aliased check "disk" failing: full');
});

test("aliases of aliases are followed, and a circle is not ill for ever", async () => {
  const registry = await start();
  const names = ["a", "b", "c"];
  for (const [at, name] of names.entries())
    await registry.registerService(api(name), [alias(`is-${name}`, names[(at + 1) % 3] ?? "")]);
  await settle();
  expect(healths(registry)).toEqual(["tulle/a passing", "tulle/b passing", "tulle/c passing"]);
  await registry.registerCheck(ttl("t", { serviceId: "c" }));
  await settle();
  expect(healths(registry)).toEqual(["tulle/a critical", "tulle/b critical", "tulle/c critical"]);
  registry.updateTtlCheck("default", "t", "passing", "");
  await settle();
  expect(healths(registry)).toEqual(["tulle/a passing", "tulle/b passing", "tulle/c passing"]);
});

test("an alias check holds after a restart", async () => {
  const persistence = createMemoryPersistence();
  const first = await start({ persistence });
  await first.registerService(serviceDefinition({ name: "back" }), []);
  await first.registerService(api("front"), [alias("a", "back")]);
  await first.stored();
  const second = await start({ persistence });
  await settle();
  expect(checkOf(second, "front", "a")).toBe("passing: No checks found.");
});
