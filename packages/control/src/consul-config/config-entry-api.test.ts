import { silentLogger, systemClock } from "@tulle/base";
import { eventually } from "@tulle/testkit";
import Consul from "consul";
import { afterAll, beforeAll, expect, test } from "vitest";

import { startControlPlane, type ControlPlane } from "../main.js";

let control: ControlPlane;

beforeAll(async () => {
  control = await startControlPlane({
    httpPort: 0,
    dnsPort: 0,
    xdsPort: 0,
    logger: silentLogger,
    clock: systemClock,
    random: () => 0,
  });
});

afterAll(async () => {
  await control.close();
});

interface Answer {
  readonly status: number;
  readonly index: number;
  readonly text: string;
  readonly body: unknown;
}

async function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(`http://${control.info.addresses.http}${path}`, {
    method,
    headers: { "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
  const index = Number(response.headers.get("x-consul-index"));
  return { status: response.status, index, text, body: isJson ? JSON.parse(text) : text };
}

const put = (entry: object, query = "") => call("PUT", `/v1/config${query}`, entry);
const splitter = (name: string, ...subsets: string[]) => ({
  Kind: "service-splitter",
  Name: name,
  Splits: subsets.map((ServiceSubset) => ({ Weight: 100 / subsets.length, ServiceSubset })),
});
const resolver = (name: string, ...subsets: string[]) => ({
  Kind: "service-resolver",
  Name: name,
  Subsets: Object.fromEntries(subsets.map((one) => [one, { Filter: `Service.Meta.version == ${one}` }])),
});

test("entries are written in CamelCase or snake_case, read, listed and deleted", async () => {
  expect(await put(resolver("crud", "v1"))).toMatchObject({ status: 200, body: true });
  const snake = { kind: "service-splitter", name: "crud", splits: [{ weight: 100, service_subset: "v1" }] };
  expect(await put(snake)).toMatchObject({ status: 200, body: true });
  const { body, index } = await call("GET", "/v1/config/service-splitter/crud");
  expect(body).toEqual({
    Kind: "service-splitter",
    Name: "crud",
    Splits: [{ Weight: 100, ServiceSubset: "v1" }],
    ModifyIndex: expect.any(Number) as number,
  });
  expect(index).toBeGreaterThanOrEqual((body as { ModifyIndex: number }).ModifyIndex);
  expect((await call("GET", "/v1/config/service-splitter")).body).toEqual([body]);
  expect((await call("GET", "/v1/config/service-splitter?ns=*")).body).toEqual([body]);
  expect(await call("DELETE", "/v1/config/service-splitter/crud")).toMatchObject({ status: 200, body: {} });
  expect(await call("DELETE", "/v1/config/service-splitter/crud")).toMatchObject({ status: 200, body: {} });
  expect(await call("GET", "/v1/config/service-splitter/crud")).toMatchObject({
    status: 404,
    text: 'Config entry not found for "service-splitter" / "crud"',
  });
});

test("the same objects are custom resources, and keep what else they have", async () => {
  await put(resolver("both"));
  const path = "/apis/consul.hashicorp.com/v1alpha1/namespaces/default/serviceresolvers/both";
  const { body } = await call("GET", path);
  expect(body).toMatchObject({ kind: "ServiceResolver", metadata: { name: "both" } });
  const { metadata } = body as { metadata: object };
  const labelled = { ...(body as object), metadata: { ...metadata, labels: { team: "shop" } } };
  expect((await call("PUT", path, labelled)).status).toBe(200);
  await put({ ...resolver("both"), ConnectTimeout: "3s" });
  expect((await call("GET", path)).body).toMatchObject({
    metadata: { labels: { team: "shop" } },
    spec: { connectTimeout: "3s" },
  });
});

test("cas: a write or deletion of another revision than the one that is there is not done", async () => {
  const entry = resolver("cas");
  expect((await put(entry, "?cas=17")).body).toBe(false);
  expect((await put(entry, "?cas=0")).body).toBe(true);
  expect((await put(entry, "?cas=0")).body).toBe(false);
  const read = async () =>
    (await call("GET", "/v1/config/service-resolver/cas")).body as { ModifyIndex: number };
  const { ModifyIndex: first } = await read();
  const changed = { ...entry, ConnectTimeout: "3s" };
  expect((await put(changed, `?cas=${first}`)).body).toBe(true);
  expect((await put(entry, `?cas=${first}`)).body).toBe(false);
  expect((await call("DELETE", `/v1/config/service-resolver/cas?cas=${first}`)).body).toBe(false);
  const { ModifyIndex: second } = await read();
  expect((await call("DELETE", `/v1/config/service-resolver/cas?cas=${second}`)).body).toBe(true);
  expect((await call("DELETE", `/v1/config/service-resolver/cas?cas=${second}`)).body).toBe(false);
  expect((await put(entry, "?cas=new")).status).toBe(400);
});

test("a blocking query waits for a change of its kind, of a chain for one of any", async () => {
  await put(resolver("block", "v1"));
  const { index } = await call("GET", "/v1/config/service-splitter");
  const chain = await call("GET", "/v1/discovery-chain/block");
  const waiting = call("GET", `/v1/config/service-splitter?index=${index}&wait=30s`);
  const watching = call("GET", `/v1/discovery-chain/block?index=${chain.index}&wait=30s`);
  await put(resolver("block", "v1", "v2"));
  const seen = await watching;
  expect(seen.index).toBeGreaterThan(chain.index);
  await put(splitter("block", "v1", "v2"));
  const changed = await waiting;
  expect(changed.index).toBeGreaterThan(index);
  expect(changed.text).toContain('"block"');
  expect((await call("GET", `/v1/config/proxy-defaults?index=${changed.index}&wait=10ms`)).status).toBe(200);
  expect((await call("GET", "/v1/config/service-splitter?index=999999999&wait=30s")).status).toBe(200);
});

test("the npm package consul, which has no words for chains, watches one by its own rules", async () => {
  const { http } = control.info.addresses;
  const consul = new Consul({ host: "127.0.0.1", port: Number(http.split(":").at(-1)) });
  await consul.agent.service.register({ name: "watched", port: 80 });
  // As the package's own methods: the response, for its index, and the body.
  const method = async ({ index, wait }: { index?: bigint; wait: string }): Promise<unknown> => {
    const url = `http://${http}/v1/discovery-chain/watched?wait=${wait}&index=${index ?? 0}`;
    const response = await fetch(url);
    return [{ headers: Object.fromEntries(response.headers) }, await response.json()];
  };
  const watch = consul.watch({ method, options: { wait: "30s" } } as never);
  const starts: string[] = [];
  watch.on("change", (data) => starts.push((data as { Chain: { StartNode: string } }).Chain.StartNode));
  try {
    await eventually(() => starts.length === 1);
    await put(resolver("watched", "v1"));
    await put(splitter("watched", "v1"));
    await eventually(() => starts.at(-1) === "splitter:watched.default.default");
  } finally {
    watch.end();
    consul.destroy();
    // Ends the query that still waits.
    await put(resolver("other"));
  }
});

test("the discovery chain is answered in its envelope, also as it would be", async () => {
  await put(resolver("chain", "v1"));
  await put({ ...resolver("chain", "v1"), DefaultSubset: "v1" });
  await put({
    Kind: "service-router",
    Name: "chain",
    Routes: [{ Match: { HTTP: { PathPrefix: "/a" } }, Destination: { Service: "other" } }],
  });
  const { body } = await call("GET", "/v1/discovery-chain/chain");
  expect(body).toMatchObject({
    Chain: {
      ServiceName: "chain",
      Datacenter: "dc1",
      Protocol: "http",
      StartNode: "router:chain.default.default",
      Targets: { "v1.chain.default.default.dc1": { Subset: { Filter: "Service.Meta.version == v1" } } },
    },
  });
  const as = (override: object) => call("POST", "/v1/discovery-chain/chain", override);
  expect((await as({ OverrideProtocol: "tcp", OverrideConnectTimeout: "7s" })).body).toMatchObject({
    Chain: {
      Protocol: "tcp",
      StartNode: "resolver:v1.chain.default.default.dc1",
      CustomizationHash: expect.any(String) as string,
      Nodes: { "resolver:v1.chain.default.default.dc1": { Resolver: { ConnectTimeout: "7s" } } },
    },
  });
  expect((await as({ override_connect_timeout: 5e9 })).text).toContain('"ConnectTimeout":"5000ms"');
  for (const bad of [
    { OverrideProtocol: "smtp" },
    { OverrideMeshGateway: { Mode: "remote" } },
    { Override: 1 },
  ])
    expect((await as(bad)).status).toBe(400);
});

test.each([
  [{ Name: "a" }, "Payload does not contain a kind/Kind key"],
  [{ Kind: "service-intentions", Name: "a" }, "write an AuthorizationPolicy"],
  [{ Kind: "service-router" }, "the entry has no Name"],
  [{ Kind: "proxy-defaults", Name: "web" }, 'only "global" is supported'],
  [
    { Kind: "service-router", Name: "a", Routes: [{ Match: { HTTP: { PathExact: "x" } } }] },
    "Routes[0].Match.HTTP.PathExact: expected a path",
  ],
  [{ Kind: "service-router", Name: "a", Routez: [{}] }, "Routez: is not a known field; did you mean routes?"],
  [
    { Kind: "service-splitter", Name: "a", Splits: [{ Weight: 40 }] },
    "Splits: the sum of all weights must be 100, not 40",
  ],
  [splitter("undeclared", "v9"), 'Splits[0]: service "undeclared" does not have a subset named "v9"'],
  [
    { Kind: "service-resolver", Name: "a", Redirect: { Service: "b", Datacenter: "dc2" } },
    "Redirect.Datacenter: expected nothing",
  ],
  [{ Kind: "service-router", Name: "a", Namespace: 7 }, "Namespace must be a string"],
  [{ Kind: "service-router", Name: "Not a name" }, "Name: expected 1 to 253"],
])("%j is refused with words", async (entry, message) => {
  const { status, text } = await put(entry);
  expect({ status, text }).toEqual({ status: 400, text: expect.stringContaining(message) as string });
});

test("what would break another's chain is neither written nor deleted", async () => {
  await put(resolver("held", "v1"));
  await put(splitter("holder", "v1")).then(({ status }) => expect(status).toBe(400));
  await put({
    Kind: "service-splitter",
    Name: "holder",
    Splits: [{ Weight: 100, Service: "held", ServiceSubset: "v1" }],
  });
  const broken =
    'with it, ServiceSplitter default/holder spec.splits[0]: service "held" does not have a subset named "v1"';
  expect(await put(resolver("held", "v2"))).toMatchObject({
    status: 400,
    text: expect.stringContaining(broken) as string,
  });
  expect((await call("DELETE", "/v1/config/service-resolver/held")).status).toBe(400);
  await call("DELETE", "/v1/config/service-splitter/holder");
  expect((await call("DELETE", "/v1/config/service-resolver/held")).status).toBe(200);
});

test("paths and methods that are not there are told", async () => {
  expect(await call("POST", "/v1/config", {})).toMatchObject({ status: 405 });
  expect(await call("PUT", "/v1/config/service-router/a", {})).toMatchObject({ status: 405 });
  expect(await call("GET", "/v1/config/mesh")).toMatchObject({ status: 400 });
  expect(await call("GET", "/v1/config/service-router?ns=nowhere")).toMatchObject({ status: 200, body: [] });
  expect(await put({ Kind: "service-router", Name: "a", Namespace: "b" }, "?ns=c")).toMatchObject({
    status: 400,
  });
  expect(await put({ Kind: "service-router", Name: "a" }, "?ns=nowhere")).toMatchObject({ status: 404 });
});
