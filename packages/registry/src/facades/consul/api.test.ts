import { silentLogger } from "@tulle/base";
import { FakeClock, settle } from "@tulle/testkit";
import { beforeEach, expect, test } from "vitest";
import { createMemoryPersistence } from "../../persistence.js";
import { createRegistry, type Registry, type RegistryOptions } from "../../registry.js";
import { createConsulApi } from "./api.js";

let clock: FakeClock;
let registry: Registry;
let app: ReturnType<typeof createConsulApi>;

async function start(options: Partial<RegistryOptions> = {}): Promise<void> {
  clock = new FakeClock();
  const persistence = createMemoryPersistence();
  registry = createRegistry({ clock, random: () => 0.5, logger: silentLogger, persistence, ...options });
  await registry.start();
  app = createConsulApi(registry, { logger: silentLogger, openToAll: true, version: "1.2.3" });
}
beforeEach(() => start());

const put = (path: string, body?: unknown) =>
  app.request(path, {
    method: "PUT",
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
const get = (path: string) => app.request(path);
const getJson = async (path: string): Promise<unknown> => await (await get(path)).json();
const register = async (body: object): Promise<void> => {
  const response = await put("/v1/agent/service/register", body);
  if (response.status !== 200) throw new Error(await response.text());
  expect(await response.text()).toBe("");
};

test("register takes CamelCase and snake_case at all levels", async () => {
  const camel = {
    Name: "api",
    ID: "a",
    Port: 80,
    EnableTagOverride: true,
    TaggedAddresses: { mesh: { Address: "10.0.0.1", Port: 15006 } },
    Meta: { some_key: "kept", OtherKey: "kept" },
    Weights: { Passing: 3, Warning: 2 },
    Check: {
      HTTP: "http://127.0.0.1:1/",
      Interval: "5s",
      Timeout: "2s",
      DeregisterCriticalServiceAfter: "2m",
    },
  };
  const snake = {
    name: "api",
    id: "b",
    port: 80,
    enable_tag_override: true,
    tagged_addresses: { mesh: { address: "10.0.0.1", port: 15006 } },
    meta: { some_key: "kept", OtherKey: "kept" },
    weights: { passing: 3, warning: 2 },
    check: {
      http: "http://127.0.0.1:1/",
      interval: "5s",
      timeout: "2s",
      deregister_critical_service_after: "2m",
    },
  };
  await register(camel);
  await register(snake);
  const services = (await getJson("/v1/agent/services")) as Record<string, object>;
  expect({ ...services["b"], ID: "a" }).toEqual(services["a"]);
  expect(services["a"]).toMatchObject({ Meta: camel.Meta, Weights: camel.Weights, EnableTagOverride: true });
  const checks = (await getJson("/v1/agent/checks")) as Record<string, object>;
  expect(checks["service:b"]).toMatchObject({
    Interval: "5s",
    Timeout: "2s",
    Type: "http",
    Status: "critical",
  });
});

test("register refuses a wrong body with all that is wrong, and changes nothing", async () => {
  const response = await put("/v1/agent/service/register", {
    Name: "",
    Port: 65_536,
    Namespace: "Not A Label",
    Meta: { "tulle-service-port": "80;", "tulle-protocol": "smtp", "bad key": "x" },
    TaggedAddresses: { mesh: { Address: "10.0.0.1" } },
    Address: "0.0.0.0",
    Checks: [
      { HTTP: "file:///etc/passwd", Interval: "1s" },
      { TCP: "nowhere", Interval: "0s" },
    ],
  });
  expect(response.status).toBe(400);
  const text = await response.text();
  for (const path of [
    "Name: missing service name",
    "Port:",
    "Namespace:",
    "Meta.tulle-service-port:",
    "Meta.tulle-protocol:",
    "Meta.bad key:",
    "TaggedAddresses.mesh.Port:",
    "Address:",
    "Checks[0].HTTP:",
    "Checks[1].TCP:",
    "Checks[1].Interval:",
  ]) {
    expect(text).toContain(path);
  }
  expect(await getJson("/v1/agent/services")).toEqual({});
});

test.each([
  ["Name", { Name: 5 }],
  ["Port", { Name: "a", Port: "80" }],
  ["Tags", { Name: "a", Tags: [1] }],
  ["Meta.k", { Name: "a", Meta: { k: 1 } }],
  ["Check.Args", { Name: "a", Check: { Args: ["rm", "-rf"], Interval: "1s" } }],
  ["Checks[0].GRPC", { Name: "a", Check: { GRPC: "x", Interval: "1s" } }],
  ["Checks[0].GRPC", { Name: "a", Check: { GRPC: "x:1/a b", Interval: "1s" } }],
  ["Checks[0].H2PING", { Name: "a", Check: { H2PING: "x:0", Interval: "1s" } }],
  ["Checks[0].UDP", { Name: "a", Check: { UDP: "x:70000", Interval: "1s" } }],
  ["Check.UDP", { Name: "a", Check: { UDP: "x:53", TCP: "x:1", Interval: "1s" } }],
  ["Check.AliasService", { Name: "a", Check: { AliasService: "b", TTL: "10s" } }],
  ["Check.OSService", { Name: "a", Check: { OSService: "b" } }],
  ["Check.TTL", { Name: "a", Check: { TTL: "soon" } }],
  ["Check.Status", { Name: "a", Check: { TTL: "1s", Status: "fine" } }],
  ["Check.HTTP", { Name: "a", Check: {} }],
  ["Kind", { Name: "a", Kind: "mesh-gateway" }],
  ["Connect", { Name: "a", Connect: { SidecarService: {} } }],
])("register names the field %s when it is wrong or not supported", async (field, body) => {
  const response = await put("/v1/agent/service/register", body);
  expect(response.status).toBe(400);
  expect(await response.text()).toContain(`${field}: `);
});

test("bodies that are not JSON, not objects, or too large are refused", async () => {
  expect((await put("/v1/agent/service/register", "{")).status).toBe(400);
  expect((await put("/v1/agent/service/register", "[]")).status).toBe(400);
  expect((await put("/v1/agent/service/register", "null")).status).toBe(400);
  const large = JSON.stringify({ Name: "a", Tags: ["x".repeat(1_100_000)] });
  expect((await put("/v1/agent/service/register", large)).status).toBe(413);
});

test("hostile names are kept apart, found again, and pollute nothing", async () => {
  const names = ["__proto__", "constructor", "../../etc", "a/b", "ünï", "with space"];
  for (const name of names) await register({ Name: name, Port: 1 });
  const services = (await getJson("/v1/catalog/services")) as object;
  expect(new Set(Object.keys(services))).toEqual(new Set(names));
  for (const name of names) {
    const path = `/v1/health/service/${encodeURIComponent(name)}`;
    expect(await getJson(path)).toMatchObject([{ Service: { Service: name } }]);
    expect((await put(`/v1/agent/service/deregister/${encodeURIComponent(name)}`)).status).toBe(200);
  }
  expect(await getJson("/v1/agent/services")).toEqual({});
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});

test("unknown ids, endpoints and methods get Consul's status codes", async () => {
  expect((await put("/v1/agent/service/deregister/nope")).status).toBe(404);
  expect((await put("/v1/agent/check/deregister/nope")).status).toBe(404);
  const pass = await put("/v1/agent/check/pass/nope");
  expect(pass.status).toBe(404);
  expect(await pass.text()).toContain('CheckID "nope" does not have associated TTL');
  expect((await get("/v1/agent/service/nope")).status).toBe(404);
  expect((await put("/v1/agent/service/maintenance/nope?enable=true")).status).toBe(404);
  expect((await put("/v1/agent/check/register", { Name: "c", TTL: "1s", ServiceID: "nope" })).status).toBe(
    404,
  );
  await register({ Name: "api", Port: 1 });
  expect((await put("/v1/agent/service/maintenance/api")).status).toBe(400);
  expect((await put("/v1/agent/service/maintenance/api?enable=perhaps")).status).toBe(400);
  expect((await get("/v1/kv/x")).status).toBe(404);
  const wrongMethod = await get("/v1/agent/service/register");
  expect([wrongMethod.status, wrongMethod.headers.get("allow")]).toEqual([405, "PUT"]);
  expect(await getJson("/v1/catalog/node/nope")).toBeNull();
});

test("common parameters that cannot be served are refused, not ignored", async () => {
  expect((await get("/v1/catalog/services?dc=dc9")).status).toBe(500);
  expect((await get("/v1/catalog/services?dc=dc1")).status).toBe(200);
  const filter = await get("/v1/health/service/api?filter=Service.Meta.version==v2");
  expect(filter.status).toBe(400);
  expect(await filter.text()).toMatch(/not supported/);
  expect((await get("/v1/health/service/api?stale&consistent")).status).toBe(400);
  expect((await get("/v1/health/service/api?index=x")).status).toBe(400);
  expect((await get("/v1/health/service/api?index=1&wait=soon")).status).toBe(400);
  expect((await get("/v1/health/state/odd")).status).toBe(400);
});

test("an HTTP check told by hand is refused with Consul's 500", async () => {
  await register({ Name: "api", Port: 1, Check: { HTTP: "http://127.0.0.1:1/", Interval: "1h" } });
  expect((await put("/v1/agent/check/pass/service:api")).status).toBe(500);
});

test("check update takes a status and an output", async () => {
  await register({ Name: "api", Port: 1, Check: { TTL: "1h" } });
  const update = await put("/v1/agent/check/update/service:api", { Status: "warning", Output: "hot" });
  expect(update.status).toBe(200);
  expect(await getJson("/v1/agent/checks")).toMatchObject({
    "service:api": { Status: "warning", Output: "hot" },
  });
  expect((await put("/v1/agent/check/update/service:api", { Status: "odd" })).status).toBe(400);
});

test("agent health says the state in its status code and as text", async () => {
  await register({ Name: "api", ID: "one", Port: 1, Check: { TTL: "1h" } });
  expect((await get("/v1/agent/health/service/id/one")).status).toBe(503);
  await put("/v1/agent/check/warn/service:one");
  expect((await get("/v1/agent/health/service/name/API")).status).toBe(429);
  await put("/v1/agent/check/pass/service:one");
  const text = await get("/v1/agent/health/service/id/one?format=text");
  expect([text.status, await text.text()]).toEqual([200, "passing"]);
  expect((await get("/v1/agent/health/service/id/two")).status).toBe(404);
});

test("tag filters need all tags, and names are found in any case", async () => {
  await register({ Name: "Api", ID: "one", Port: 1, Tags: ["a", "B"] });
  await register({ Name: "api", ID: "two", Port: 2, Tags: ["a"] });
  expect(await getJson("/v1/health/service/API?tag=a")).toHaveLength(2);
  expect(await getJson("/v1/health/service/api?tag=a&tag=b")).toMatchObject([{ Service: { ID: "one" } }]);
});

test("namespaces hold equal ids apart", async () => {
  await register({ Name: "api", Port: 1 });
  expect((await put("/v1/agent/service/register?ns=shop", { Name: "api", Port: 2 })).status).toBe(200);
  expect(await getJson("/v1/health/service/api")).toMatchObject([{ Service: { Port: 1 } }]);
  expect(await getJson("/v1/health/service/api?ns=shop")).toMatchObject([{ Service: { Port: 2 } }]);
  expect((await put("/v1/agent/service/deregister/api?ns=shop")).status).toBe(200);
  expect(await getJson("/v1/agent/services")).toMatchObject({ api: { Port: 1 } });
});

test("indexes rise with what they are about and with nothing else", async () => {
  const index = async (path: string): Promise<number> =>
    Number((await get(path)).headers.get("x-consul-index"));
  expect(await index("/v1/catalog/services")).toBeGreaterThanOrEqual(1);
  await register({ Name: "api", Port: 1, Check: { TTL: "1h" } });
  const api = await index("/v1/health/service/api");
  const services = await index("/v1/catalog/services");
  await put("/v1/agent/check/pass/service:api");
  expect(await index("/v1/health/service/api")).toBeGreaterThan(api);
  expect(await index("/v1/catalog/services")).toBe(services);
  const passed = await index("/v1/health/service/api");
  await put("/v1/agent/check/pass/service:api");
  await register({ Name: "api", Port: 1, Check: { TTL: "1h" } });
  await register({ Name: "other", Port: 1 });
  expect(await index("/v1/health/service/api")).toBe(passed);
  await put("/v1/agent/service/deregister/api");
  expect(await index("/v1/health/service/api")).toBeGreaterThan(passed);
  const headers = (await get("/v1/health/service/api")).headers;
  expect([headers.get("x-consul-knownleader"), headers.get("x-consul-lastcontact")]).toEqual(["true", "0"]);
});

test("a blocking query waits for its own list, and no longer than wait and a sixteenth", async () => {
  await register({ Name: "api", Port: 1 });
  const index = Number((await get("/v1/health/service/api")).headers.get("x-consul-index"));
  let answered = false;
  const waiting = Promise.resolve(get(`/v1/health/service/api?index=${index}&wait=16s`)).then((response) => {
    answered = true;
    return response;
  });
  await settle();
  await register({ Name: "other", Port: 1 });
  await clock.advance(16_000);
  expect(answered).toBe(false);
  await clock.advance(501);
  expect(Number((await waiting).headers.get("x-consul-index"))).toBe(index);
  expect(registry.catalog.index.listenerCount).toBe(0);
});

test("a blocking query with an index that was never given out is answered at once", async () => {
  await register({ Name: "api", Port: 1 });
  const response = await get("/v1/health/service/api?index=999999999");
  expect(Number(response.headers.get("x-consul-index"))).toBeLessThan(999_999_999);
});

test("blocking queries beyond the limit are refused with 429", async () => {
  await start({ maxWaiters: 1 });
  const index = registry.catalog.index.current;
  const first = get(`/v1/catalog/services?index=${index}`);
  await settle();
  expect((await get(`/v1/catalog/services?index=${index}`)).status).toBe(429);
  await register({ Name: "api", Port: 1 });
  expect((await first).status).toBe(200);
});

test("an alias check is taken by service and by node, and shown as one", async () => {
  await register({ Name: "back" });
  await register({ Name: "front", Check: { AliasService: "back" } });
  await register({ Name: "other", Check: { AliasNode: "nowhere", CheckID: "by-node" } });
  await settle();
  expect(await getJson("/v1/agent/checks")).toMatchObject({
    "service:front": { Type: "alias", Status: "passing", Output: "No checks found.", Interval: "" },
    "by-node": { Type: "alias", Status: "critical", Output: "Node nowhere could not be found" },
  });
});
