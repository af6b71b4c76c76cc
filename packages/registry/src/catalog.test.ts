import { silentLogger } from "@tulle/base";
import { FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";
import { serviceDefinition, type ServiceDefinition } from "./definition.js";
import { createDnsDirectory } from "./dns-directory.js";
import { createMemoryPersistence } from "./persistence.js";
import { createRegistry, type Registry } from "./registry.js";

async function registryWith(
  ...services: (Partial<ServiceDefinition> & { name: string })[]
): Promise<Registry> {
  const registry = createRegistry({
    clock: new FakeClock(),
    random: () => 0,
    logger: silentLogger,
    persistence: createMemoryPersistence(),
    node: { name: "host-1", address: "192.0.2.1" },
  });
  await registry.start();
  for (const service of services) await registry.registerService(serviceDefinition(service), []);
  return registry;
}

test("catalog derives an instance of the mesh from the launcher's registration", async () => {
  const registry = await registryWith({
    name: "reviews",
    id: "reviews-1",
    address: "127.0.0.1",
    port: 40_001,
    tags: ["v2"],
    meta: {
      version: "v2",
      team: "a",
      "tulle-service-port": "9080",
      "tulle-service-account": "bookinfo-reviews",
    },
    taggedAddresses: { mesh: { address: "127.0.0.1", port: 15_006 } },
  });
  expect(registry.catalog.service("default", "reviews")).toEqual({
    name: "reviews",
    namespace: "default",
    ports: [{ number: 9080, name: "auto", protocol: "auto" }],
    portless: false,
    instances: [
      {
        id: "host-1/reviews-1",
        service: "reviews",
        namespace: "default",
        address: { host: "127.0.0.1", port: 40_001 },
        meshAddress: { host: "127.0.0.1", port: 15_006 },
        servicePort: 9080,
        protocol: "auto",
        labels: { version: "v2", team: "a" },
        tags: ["v2"],
        serviceAccount: "bookinfo-reviews",
        weight: 1,
        health: "passing",
      },
    ],
  });
});

test("catalog gives a plain Consul service one port, the node's address and its name as account", async () => {
  const registry = await registryWith({ name: "Api", id: "b", port: 81 }, { name: "api", id: "a", port: 80 });
  const service = registry.catalog.service("default", "API");
  expect(service).toMatchObject({ name: "api", portless: true, ports: [{ number: 80 }] });
  expect(service?.instances).toMatchObject([
    { id: "host-1/a", address: { host: "192.0.2.1", port: 80 }, serviceAccount: "api", protocol: "auto" },
    { id: "host-1/b" },
  ]);
  expect([...registry.catalog.services()]).toHaveLength(1);
});

test("catalog takes the protocol that one instance declares for those that declare none", async () => {
  const meta = (protocol?: string): Record<string, string> => ({
    "tulle-service-port": "80",
    ...(protocol === undefined ? {} : { "tulle-protocol": protocol }),
  });
  const registry = await registryWith(
    { name: "api", id: "a", port: 8001, meta: meta() },
    { name: "api", id: "b", port: 8002, meta: meta("redis") },
    { name: "old", id: "c", port: 8003 },
    { name: "old", id: "d", port: 8004, meta: { "tulle-protocol": "grpc" } },
  );
  expect(registry.catalog.service("default", "api")?.ports).toMatchObject([{ number: 80, protocol: "tcp" }]);
  expect(registry.catalog.service("default", "old")?.ports).toMatchObject([
    { number: 8003, protocol: "grpc" },
  ]);
});

test.each([
  [["blue", "v1.2", "v3"], {}, "v1.2"],
  [["v1"], { version: "v9" }, "v9"],
  [["vanilla", "version"], {}, undefined],
] as const)("catalog derives the version label of tags %j and Meta %j as %s", async (tags, meta, version) => {
  const registry = await registryWith({ name: "api", port: 80, tags, meta });
  expect(registry.catalog.service("default", "api")?.instances[0]?.labels["version"]).toBe(version);
});

test("catalog leaves out of the mesh what has no port or no host name, and keeps ids of namespaces apart", async () => {
  const registry = await registryWith(
    { name: "worker" },
    { name: "a.b", port: 80 },
    { name: "x|y", port: 80 },
    { name: "api", port: 80 },
    { name: "api", port: 80, namespace: "shop" },
  );
  const { catalog } = registry;
  expect(catalog.service("default", "worker")).toMatchObject({ instances: [], ports: [] });
  expect([...catalog.services()].map(({ name, namespace }) => `${namespace}/${name}`)).toEqual([
    "default/worker",
    "default/api",
    "shop/api",
  ]);
  expect(catalog.service("shop", "api")?.instances[0]?.id).toBe("host-1/shop/api");
  expect(catalog.registrations("default", "a.b")).toHaveLength(1);
});

test("catalog moves an instance whose registration changes its name", async () => {
  const registry = await registryWith({ name: "old", id: "x", port: 80 });
  const before = registry.catalog.index.of("service/default/old");
  const names: string[][] = [];
  registry.catalog.onChanged(({ services }) => names.push(services.map(({ name }) => name)));
  await registry.registerService(serviceDefinition({ name: "new", id: "x", port: 80 }), []);
  expect(registry.catalog.service("default", "old")).toBeUndefined();
  expect(registry.catalog.service("default", "new")?.instances).toHaveLength(1);
  expect(names).toEqual([["old", "new"]]);
  expect(registry.catalog.index.of("service/default/old")).toBeGreaterThan(before);
});

test("createDnsDirectory leaves out what may get no traffic, and resolves nodes", async () => {
  const registry = await registryWith(
    { name: "api", id: "a", port: 80, tags: ["v1"], weights: { passing: 5, warning: 1 } },
    { name: "api", id: "b", port: 81 },
  );
  await registry.setServiceMaintenance("default", "b", true, "");
  const directory = createDnsDirectory(registry.catalog);
  expect(directory.service("default", "api")).toEqual([
    { host: "192.0.2.1", port: 80, tags: ["v1"], weight: 5, portName: "http" },
  ]);
  expect(directory.service("default", "none")).toBeUndefined();
  expect(directory.node("host-1")).toEqual({ host: "192.0.2.1", meta: {} });
});
