import { createServer, type Server } from "node:http";
import { serve, type ServerType } from "@hono/node-server";
import { silentLogger, systemClock } from "@tulle/base";
import { eventually } from "@tulle/testkit";
import Consul from "consul";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createMemoryPersistence } from "../../persistence.js";
import { createRegistry, type Registry } from "../../registry.js";
import { createConsulApi } from "./api.js";

/** The npm package `consul`, unchanged, over a real port. */
let registry: Registry;
let server: ServerType;
let consul: Consul;
let appServer: Server;
let appStatus = 200;
let appPort = 0;

beforeEach(async () => {
  registry = createRegistry({
    clock: systemClock,
    random: () => 0,
    logger: silentLogger,
    persistence: createMemoryPersistence(),
    minCheckIntervalMs: 20,
  });
  await registry.start();
  const app = createConsulApi(registry, { logger: silentLogger, openToAll: true });
  const port = await new Promise<number>((resolve) => {
    server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, (info) => resolve(info.port));
  });
  consul = new Consul({ host: "127.0.0.1", port });
  appServer = createServer((_, response) => response.writeHead(appStatus).end("app says hello"));
  appPort = await new Promise<number>((resolve) => {
    appServer.listen(0, "127.0.0.1", () => {
      const address = appServer.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  appStatus = 200;
});

afterEach(async () => {
  consul.destroy();
  registry[Symbol.dispose]();
  if ("closeAllConnections" in server) server.closeAllConnections();
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  appServer.closeAllConnections();
  appServer.close();
});

interface HealthEntry {
  readonly Service: { readonly ID: string; readonly Port: number; readonly Tags: readonly string[] };
  readonly Checks: readonly { readonly CheckID: string; readonly Status: string; readonly Output: string }[];
}

const health = async (
  service: string,
  extra: { passing?: boolean; tag?: string } = {},
): Promise<HealthEntry[]> => (await consul.health.service({ service, ...extra })) as HealthEntry[];
const ids = async (service: string, extra = {}): Promise<string[]> =>
  (await health(service, extra)).map((entry) => entry.Service.ID);

test("consul client registers, lists and deregisters a service", async () => {
  await consul.agent.service.register({
    id: "api-1",
    name: "api",
    tags: ["v1"],
    address: "10.0.0.1",
    port: 8080,
    meta: { version: "v1" },
  });
  expect(await consul.agent.service.list()).toMatchObject({
    "api-1": {
      ID: "api-1",
      Service: "api",
      Tags: ["v1"],
      Address: "10.0.0.1",
      Port: 8080,
      Meta: { version: "v1" },
    },
  });
  expect(await consul.catalog.service.list()).toEqual({ api: ["v1"] });
  expect(await consul.catalog.service.nodes("api")).toMatchObject([
    { ServiceID: "api-1", ServicePort: 8080, ServiceAddress: "10.0.0.1", Node: "tulle" },
  ]);
  expect(await consul.catalog.datacenters()).toEqual(["dc1"]);
  expect(await consul.catalog.node.list()).toMatchObject([{ Node: "tulle", Address: "127.0.0.1" }]);
  expect(await consul.status.leader()).toMatch(/:8300$/);
  expect(await consul.agent.self()).toMatchObject({ Config: { Datacenter: "dc1", NodeName: "tulle" } });
  await consul.agent.service.deregister("api-1");
  expect(await consul.agent.service.list()).toEqual({});
  expect(await health("api")).toEqual([]);
});

test("consul client sees instances move with TTL checks, and only passing ones with passing", async () => {
  await consul.agent.service.register({
    id: "api-1",
    name: "api",
    port: 1,
    check: { name: "alive", ttl: "60s", timeout: "1s" },
  });
  await consul.agent.service.register({ id: "api-2", name: "api", port: 2, tags: ["v2"] });
  expect(await ids("api")).toEqual(["api-1", "api-2"]);
  expect(await ids("api", { passing: true })).toEqual(["api-2"]);
  await consul.agent.check.pass({ id: "service:api-1", note: "fine" });
  expect(await ids("api", { passing: true })).toEqual(["api-1", "api-2"]);
  expect((await health("api"))[0]?.Checks.at(-1)).toMatchObject({ CheckID: "service:api-1", Output: "fine" });
  await consul.agent.check.warn("service:api-1");
  expect(await ids("api", { passing: true })).toEqual(["api-2"]);
  await consul.agent.check.fail("service:api-1");
  expect(await consul.health.state("critical")).toMatchObject([
    { CheckID: "service:api-1", ServiceName: "api" },
  ]);
  expect(await ids("api", { tag: "v2" })).toEqual(["api-2"]);
  expect(await consul.health.checks("api")).toHaveLength(1);
  expect(await consul.agent.check.list()).toMatchObject({
    "service:api-1": { Status: "critical", Type: "ttl" },
  });
});

test("consul client's HTTP and TCP checks run and move instances in and out", async () => {
  await consul.agent.service.register({
    id: "api-1",
    name: "api",
    port: appPort,
    address: "127.0.0.1",
    checks: [
      { name: "http", http: `http://127.0.0.1:${appPort}/health`, interval: "50ms", timeout: "1s" },
      { name: "tcp", tcp: `127.0.0.1:${appPort}`, interval: "50ms", timeout: "1s" },
    ],
  });
  await eventually(async () => (await ids("api", { passing: true })).length === 1);
  const [entry] = await health("api");
  expect(entry?.Checks.find(({ CheckID }) => CheckID === "service:api-1:1")?.Output).toMatch(
    /200.*app says hello/,
  );
  appStatus = 500;
  await eventually(async () => (await ids("api", { passing: true })).length === 0);
  appStatus = 200;
  await eventually(async () => (await ids("api", { passing: true })).length === 1);
});

test("consul client registers and deregisters checks of its own, and maintenance takes an instance out", async () => {
  await consul.agent.service.register({ id: "api-1", name: "api", port: 1 });
  await consul.agent.check.register({
    checkid: "extra",
    timeout: "1s",
    name: "extra",
    serviceid: "api-1",
    ttl: "60s",
    status: "passing",
  });
  expect(await ids("api", { passing: true })).toEqual(["api-1"]);
  await consul.agent.service.maintenance({ id: "api-1", enable: true, reason: "upgrade" });
  expect(await ids("api", { passing: true })).toEqual([]);
  await consul.agent.service.maintenance({ id: "api-1", enable: false });
  expect(await ids("api", { passing: true })).toEqual(["api-1"]);
  await consul.agent.maintenance(true);
  expect(await ids("api", { passing: true })).toEqual([]);
  await consul.agent.maintenance(false);
  await consul.agent.check.deregister("extra");
  expect(await consul.agent.check.list()).toEqual({});
});

test("consul client's watch is told of changes by a blocking query", async () => {
  await consul.agent.service.register({ id: "api-1", name: "api", port: 1 });
  const seen: number[] = [];
  const watch = consul.watch({
    // oxlint-disable-next-line typescript/unbound-method -- the client calls it on an object of its own
    method: consul.health.service,
    options: { service: "api", wait: "10s" },
  });
  watch.on("change", (data: readonly unknown[]) => seen.push(data.length));
  watch.on("error", () => undefined);
  await eventually(() => seen.length === 1);
  await eventually(() => registry.catalog.index.listenerCount === 1);
  await consul.agent.service.register({ id: "api-2", name: "api", port: 2 });
  await eventually(() => seen.length === 2);
  await consul.agent.service.deregister("api-1");
  await consul.agent.service.deregister("api-2");
  await eventually(() => seen.at(-1) === 0);
  expect(seen.slice(0, 2)).toEqual([1, 2]);
  watch.end();
});

test("consul client registers at other nodes through the catalog", async () => {
  expect(await consul.catalog.node.list()).toHaveLength(1);
  await consul.catalog.register({
    node: "legacy",
    address: "10.9.9.9",
    service: { id: "db-1", service: "db", port: 5432 },
    check: {
      name: "up",
      checkid: "up",
      serviceid: "db-1",
      status: "passing",
      definition: { tcp: "10.9.9.9:5432", intervalduration: "10s" },
    },
  });
  expect(await consul.catalog.node.services("legacy")).toMatchObject({
    Node: { Node: "legacy" },
    Services: { "db-1": { Service: "db", Port: 5432 } },
  });
  expect(await ids("db", { passing: true })).toEqual(["db-1"]);
  expect(registry.catalog.service("default", "db")?.instances[0]?.address).toEqual({
    host: "10.9.9.9",
    port: 5432,
  });
  await consul.catalog.deregister({
    node: "legacy",
  });
  expect(await ids("db")).toEqual([]);
  expect(await consul.catalog.node.list()).toHaveLength(1);
});

test("a client that goes away frees its blocking query", async () => {
  await consul.agent.service.register({ id: "api-1", name: "api", port: 1 });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const index = registry.catalog.index.current;
  const abort = new AbortController();
  const request = fetch(`http://127.0.0.1:${port}/v1/health/service/api?index=${index}&wait=60s`, {
    signal: abort.signal,
  }).catch(() => undefined);
  await eventually(() => registry.catalog.index.listenerCount === 1);
  abort.abort();
  await request;
  await eventually(() => registry.catalog.index.listenerCount === 0);
});
