import * as grpc from "@grpc/grpc-js";
import { fileURLToPath } from "node:url";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call, type Answer, type CallOptions } from "./support/http.js";
import { CHAT, Mesh, RECORDER } from "./support/mesh.js";
import { urlOf, type Workload } from "./support/workload.js";

// Limits of requests: at the service's own sidecar and at its callers', for everybody and for each caller.

const RULES = `
apiVersion: tulle.dev/v1
kind: RateLimit
metadata: {name: shop}
spec:
  host: shop
  limits:
  - match: {uri: {exact: /all}}
    requests: 3
    interval: 1h
  - match: {uri: {prefix: /each}, method: {exact: POST}}
    requests: 2
    interval: 1h
    per: SOURCE
  - match: {uri: {prefix: /user}}
    requests: 1
    interval: 1h
    perHeader: x-user
  - match: {uri: {prefix: /own}}
    requests: 1
    interval: 1h
    per: SOURCE
    overrides: [{serviceAccounts: [two], requests: 3}]
---
apiVersion: tulle.dev/v1
kind: RateLimit
metadata: {name: shop-counted}
spec:
  host: shop
  shadow: true
  tellsLimits: false
  limits: [{match: {uri: {prefix: /shadow}}, requests: 1, interval: 1h}]
---
apiVersion: tulle.dev/v1
kind: RateLimit
metadata: {name: shop-out}
spec:
  host: shop
  direction: OUTBOUND
  status: 503
  limits: [{match: {uri: {prefix: /out}}, requests: 1, interval: 1h}]
---
apiVersion: tulle.dev/v1
kind: RateLimit
metadata: {name: chat}
spec:
  host: chat
  limits: [{requests: 2, interval: 1h}]
`;

const GLOBAL = `
apiVersion: tulle.dev/v1
kind: RateLimit
metadata: {name: shop-global}
spec:
  host: shop
  global:
    service: limiter
    port: 8080
    domain: shop
    timeout: 2s
    failClosed: true
    descriptors:
    - match: {uri: {prefix: /global}}
      entries: [{key: path, value: global}, {source: IDENTITY}]
`;

let mesh: Mesh;
let shop: Workload;
let one: Workload;
let two: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  await mesh.apply(RULES);
  const caller = (name: string): Promise<Workload> =>
    mesh.sidecar({ service: name, args: ["--upstream", "shop:8080", "--upstream", "chat:8080"] });
  const started = await Promise.all([
    mesh.run({ service: "shop", command: RECORDER }),
    mesh.run({ service: "chat", args: ["--protocol", "grpc"], command: CHAT, healthPath: "" }),
    caller("one"),
    caller("two"),
  ]);
  shop = started[0];
  one = started[2];
  two = started[3];
}, 60_000);

afterAll(() => mesh?.end());

function ask(caller: Workload, path: string, options: CallOptions = {}): Promise<Answer> {
  return call(`${caller.upstream("shop:8080")}${path}`, options);
}

test("a service takes so many requests, from all callers together, and says what is left", async () => {
  const first = await ask(one, "/all?q=1");
  expect(first.status).toBe(200);
  expect(first.headers).toMatchObject({ "x-ratelimit-limit": "3", "x-ratelimit-remaining": "2" });
  expect(Number(first.headers["x-ratelimit-reset"])).toBeGreaterThan(1100);
  expect((await ask(two, "/all")).status).toBe(200);
  expect((await ask(one, "/all")).headers["x-ratelimit-remaining"]).toBe("0");
  const refused = await ask(two, "/all");
  expect(refused).toMatchObject({ status: 429, body: "local_rate_limited" });
  expect(refused.headers).toMatchObject({ "x-ratelimit-remaining": "0" });
  expect(Number(refused.headers["retry-after"])).toBeGreaterThan(1000);
  expect((await ask(two, "/all/other")).status).toBe(200);
  await eventually(async () =>
    (await shop.metrics()).includes(
      'tulle_rate_limited_requests_total{limit="default/shop",enforced="true"} 1',
    ),
  );
});

test("each caller has a count of its own, by its identity", async () => {
  const post = async (caller: Workload): Promise<number> =>
    (await ask(caller, "/each", { method: "POST" })).status;
  expect([await post(one), await post(one), await post(one)]).toEqual([200, 200, 429]);
  expect([await post(two), await post(two), await post(two)]).toEqual([200, 200, 429]);
  expect((await ask(one, "/each")).status).toBe(200);
});

test("a caller may have numbers of its own", async () => {
  const own = async (caller: Workload): Promise<number> => (await ask(caller, "/own")).status;
  expect([await own(one), await own(one)]).toEqual([200, 429]);
  expect([await own(two), await own(two), await own(two), await own(two)]).toEqual([200, 200, 200, 429]);
});

test("each value of a header has a count of its own", async () => {
  const as = async (user: string): Promise<number> =>
    (await ask(one, "/user", { headers: { "x-user": user } })).status;
  expect([await as("a"), await as("a"), await as("b"), await as("b")]).toEqual([200, 429, 200, 429]);
  expect((await ask(one, "/user")).status).toBe(200);
});

test("a shadow limit refuses nobody, and counts", async () => {
  const answers = [await ask(one, "/shadow"), await ask(one, "/shadow")];
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  expect(answers[0]!.headers["x-ratelimit-limit"]).toBeUndefined();
  await eventually(async () =>
    (await shop.metrics()).includes(
      'tulle_rate_limited_requests_total{limit="default/shop-counted",enforced="false"} 1',
    ),
  );
});

test("callers count for themselves, however they name the service", async () => {
  expect((await ask(one, "/out")).status).toBe(200);
  const outbound = urlOf(one.ready.addresses.outbound);
  const refused = await call(`${outbound}/out`, { headers: { host: "shop.default.svc.cluster.local:8080" } });
  expect(refused.status).toBe(503);
  expect((await ask(two, "/out")).status).toBe(200);
});

test("a gRPC call beyond the limit ends with RESOURCE_EXHAUSTED", async () => {
  const target = one.upstream("chat:8080").replace("http://", "");
  const client = new grpc.Client(target, grpc.credentials.createInsecure());
  const echo = (): Promise<number> =>
    new Promise((resolve) => {
      client.makeUnaryRequest(
        "/test.Chat/Echo",
        (text: string) => Buffer.from(text),
        (bytes: Buffer) => bytes.toString(),
        "hello",
        (error) => resolve(error === null ? 0 : error.code),
      );
    });
  try {
    expect([await echo(), await echo(), await echo()]).toEqual([0, 0, grpc.status.RESOURCE_EXHAUSTED]);
  } finally {
    client.close();
  }
});

test("a service counts for all sidecars, for each caller", async () => {
  const command = [
    process.execPath,
    fileURLToPath(new URL("support/apps/rate-limiter.mjs", import.meta.url)),
  ];
  const limiter = await mesh.run({
    service: "limiter",
    command,
    healthPath: "",
    args: ["--protocol", "grpc"],
  });
  await mesh.apply(GLOBAL);
  // The limiter lets two of each caller pass.
  await eventually(async () => (await ask(one, "/global")).headers["x-ratelimit-limit"] !== undefined);
  await eventually(async () => (await ask(one, "/global")).status === 429);
  const first = await ask(two, "/global?q");
  expect(first.headers).toMatchObject({ "x-ratelimit-remaining": "1" });
  expect([first.status, (await ask(two, "/global")).status]).toEqual([200, 200]);
  const refused = await ask(two, "/global");
  expect(refused).toMatchObject({
    status: 429,
    body: "spiffe://cluster.local/ns/default/sa/two",
    headers: { "x-envoy-ratelimited": "true" },
  });
  expect((await ask(two, "/elsewhere")).status).toBe(200);
  await limiter.process.stop();
  await eventually(async () => (await ask(two, "/global")).status === 500);
  expect((await ask(two, "/elsewhere")).status).toBe(200);
}, 40_000);

test("Linkerd's HTTPLocalRateLimitPolicy holds at its Server, for all clients and for some of them", async () => {
  const { process } = await mesh.run({ service: "linked", command: RECORDER });
  const callers = await Promise.all(
    ["plain", "special"].map((name) => mesh.sidecar({ service: name, args: ["--upstream", "linked:8080"] })),
  );
  await mesh.apply(`
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: linked-http}
spec: {podSelector: {}, port: 8080, accessPolicy: all-unauthenticated}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: HTTPLocalRateLimitPolicy
metadata: {name: linked}
spec:
  targetRef: {group: policy.linkerd.io, kind: Server, name: linked-http}
  identity: {requestsPerSecond: 1}
  overrides: [{requestsPerSecond: 1000, clientRefs: [{kind: ServiceAccount, name: special}]}]
`);
  const burst = async (caller: Workload): Promise<number[]> => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => call(caller.upstream("linked:8080"))));
    return answers.map(({ status }) => status);
  };
  const [plain, special] = callers;
  await eventually(async () => (await burst(plain!)).includes(429));
  expect(await burst(special!)).toEqual([200, 200, 200, 200, 200, 200]);
  const { code, output } = await mesh.tulle(["get", "httplocalratelimitpolicies"]);
  expect([code, output]).toEqual([0, expect.stringContaining("linked-http")]);
  await process.stop();
}, 30_000);
