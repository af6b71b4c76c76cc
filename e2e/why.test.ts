// `tulle why` and live `explain`, over a chain of three services: caller -> front -> back.
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";

import type { RequestStory } from "@tulle/api";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call, callJson } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { clusterOf, type Workload } from "./support/workload.js";

const CHAIN = [process.execPath, fileURLToPath(new URL("support/apps/chain.mjs", import.meta.url))];
/** Nothing that a test breaks is taken out of service. */
const UNCHECKED = ["--health-interval", "60s"];

let mesh: Mesh;
let caller: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: back}
spec:
  hosts: [back]
  http:
    - match: [{uri: {prefix: /hang}}]
      timeout: 200ms
      route: [{destination: {host: back}}]
    - match: [{uri: {prefix: /fault}}]
      fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
      route: [{destination: {host: back}}]
    - match: [{headers: {version: {exact: v9}}}]
      route: [{destination: {host: back, subset: v9}}]
    - route: [{destination: {host: back}}]
      retries: {attempts: 1, retryOn: "5xx"}
`);
  await mesh.run({ service: "back", command: CHAIN, args: UNCHECKED });
  const [, sidecar] = await Promise.all([
    mesh.run({
      service: "front",
      command: CHAIN,
      // Two threads: the records of both are found.
      args: ["--upstream", "back:8080", "--workers", "2", ...UNCHECKED],
      environment: { NEXT: "BACK_URL" },
    }),
    mesh.sidecar({ service: "caller", args: ["--upstream", "front:8080"] }),
  ]);
  caller = sidecar;
  await caller.knows(clusterOf("front"), 1);
  await eventually(async () => (await call(`${caller.upstream("front:8080")}/`)).status === 200);
}, 60_000);

afterAll(() => mesh?.end());

/** Sends a request through the chain; gives its id. */
async function send(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ id: string; status: number }> {
  const id = randomUUID();
  const url = `${caller.upstream("front:8080")}${path}`;
  const { status } = await call(url, { headers: { "x-request-id": id, ...headers } });
  return { id, status };
}

/** What proxies have recorded of it, once as many of them as expected have. */
async function storyOf(id: string, hops: number): Promise<RequestStory> {
  await eventually(async () => (await mesh.client.why(id)).hops.length >= hops);
  return mesh.client.why(id);
}

test("an application's 503 is followed to it, hop by hop, with every try", async () => {
  const { id, status } = await send("/status/503");
  expect(status).toBe(503);
  // The retry comes to the callee as an exchange of its own.
  const { hops, silent } = await storyOf(id, 5);
  expect(silent).toEqual([]);
  expect(hops.map(({ depth, proxy, record }) => [depth, proxy.service, record.direction])).toEqual([
    [0, "caller", "outbound"],
    [1, "front", "inbound"],
    [2, "front", "outbound"],
    [3, "back", "inbound"],
    [3, "back", "inbound"],
  ]);
  expect(hops[2]?.record.tries.map(({ outcome, status: of }) => [outcome, of])).toEqual([
    ["answered", 503],
    ["answered", 503],
  ]);
  expect(hops[2]?.record.owner).toMatchObject({ rule: "http[3]" });
  expect(hops[3]?.record.principal).toBe("spiffe://cluster.local/ns/default/sa/front");
  for (const { explainedWith, explanation } of hops) {
    expect(explainedWith).toBe("then");
    expect(explanation).toMatchObject({ version: 1 });
  }
  const { code, out } = await mesh.ask("why", id);
  expect(code).toBe(0);
  expect(out).toContain("Cause:   the application of back itself answered 503");
  expect(out).toContain("try 2");
  expect(out).toContain("VirtualService default/back http[3]");
});

test("a timeout names the hop that gave up, and the rule", async () => {
  const { id, status } = await send("/hang");
  expect(status).toBe(504);
  const { hops } = await storyOf(id, 3);
  const front = hops.find(
    ({ proxy, record }) => proxy.service === "front" && record.direction === "outbound",
  );
  expect(front?.record).toMatchObject({ response: { status: 504 }, owner: { rule: "http[0]" } });
  // Both sidecars know how long the request may take, and either may be the first to give up.
  expect(["abandoned", "answered"]).toContain(front?.record.tries[0]?.outcome);
  const { out } = await mesh.ask("why", id);
  expect(out).toContain("UT: no answer came within the timeout");
  expect(out).toContain("VirtualService default/back http[0]");
});

test("a connection that the application refuses is found at its own sidecar", async () => {
  expect((await send("/close")).status).toBe(200);
  const { id, status } = await send("/");
  expect(status).toBe(503);
  const { hops } = await storyOf(id, 4);
  const last = hops.at(-1);
  expect(last?.proxy.service).toBe("back");
  const outcomes = last?.record.tries.map(({ outcome, detail }) => `${outcome} ${detail}`);
  expect(new Set(outcomes)).toEqual(new Set(["connect-failure ECONNREFUSED"]));
  const { out } = await mesh.ask("why", id);
  expect(out).toContain("Next:    check that the application of back runs and listens on 127.0.0.1:");
  await eventually(async () => (await send("/")).status === 200);
});

test("an answer that a filter made names the flag, and the rule that asked for it", async () => {
  const { id, status } = await send("/fault");
  expect(status).toBe(418);
  await storyOf(id, 1);
  const { out } = await mesh.ask("why", id);
  expect(out).toContain("FI: the request was made to fail on purpose");
  expect(out).toContain("VirtualService default/back http[1]");
  expect(out).toContain("Cause:   the sidecar of front made it fail on purpose");
});

test("a proxy tells its load and clusters, and how much it logs, and lets that be changed", async () => {
  const api = `${mesh.server}/tulle/v1/proxies/front.default`;
  const cluster = clusterOf("back");
  const hanging = send("/hang");
  await eventually(async () => {
    const report = await callJson(`${api}/load?cluster=${encodeURIComponent(cluster)}`);
    expect(report).toMatchObject([{ cluster, maxRequests: expect.any(Number) as number }]);
    return (report as { requests: number }[])[0]?.requests === 1;
  });
  await hanging;
  expect(await callJson(`${api}/clusters`)).toMatchObject({
    cluster_statuses: expect.arrayContaining([expect.objectContaining({ name: cluster })]) as unknown,
  });
  expect(await callJson(`${api}/log-level`)).toEqual({ level: "warn" });
  const change = {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: '{"level":"error"}',
  };
  expect(await callJson(`${api}/log-level`, change)).toEqual({ level: "error" });
  expect(await callJson(`${api}/log-level`)).toEqual({ level: "error" });
  expect(await mesh.ask("log-level", "front.default", "warn")).toMatchObject({ code: 0, out: "warn\n" });
  expect(await mesh.ask("log-level", "front.default", "loud")).toMatchObject({ code: 1 });
  expect((await call(`${api}/load?cluster=none`)).status).toBe(404);
  expect((await call(`${mesh.server}/tulle/v1/proxies/nobody/clusters`)).status).toBe(404);
});

test("an error answer carries the id to ask with, and Proxy-Status", async () => {
  const url = `http://127.0.0.1:${caller.ready.addresses.outbound.port}/`;
  const { status, headers } = await call(url, { headers: { host: "nowhere:8080" } });
  expect(status).toBe(404);
  expect(headers["proxy-status"]).toBe(
    'tulle-caller; error=destination_not_found; details="route_not_found; NR"',
  );
  const { code, out } = await mesh.ask("why", String(headers["x-request-id"]));
  expect(code).toBe(0);
  expect(out).toContain("Cause:   the sidecar of caller knows no HTTP service nowhere:8080");
});

test("an application's own 5xx carries the id, too", async () => {
  const { headers } = await call(`${caller.upstream("front:8080")}/status/500`);
  const id = String(headers["x-request-id"]);
  expect(headers["proxy-status"]).toBeUndefined();
  expect((await storyOf(id, 4)).hops[0]?.record.response.status).toBe(500);
});

test("what a sidecar keeps of a request has no secrets in it", async () => {
  const { id } = await send("/status/503?access_token=sesame", {
    authorization: "Bearer sesame",
    cookie: "a=sesame",
  });
  const story = await storyOf(id, 4);
  expect(JSON.stringify(story)).not.toContain("sesame");
  expect(JSON.stringify(story)).toContain("<redacted>");
});

test("a request that nothing is known of has exit code 4 and says what is kept", async () => {
  const { code, err } = await mesh.ask("why", randomUUID());
  expect(code).toBe(4);
  expect(err).toContain("3 sidecars were asked");
});

test("tulle explain asks the caller's sidecar through the control plane", async () => {
  const { code, out } = await mesh.ask("explain", "http://back:8080/hang", "--from", "front");
  expect(code).toBe(0);
  expect(out).toContain("VirtualService default/back http[0]");
  const refused = await mesh.ask("explain", "http://back:8080/", "--from", "nobody");
  expect(refused.code).toBe(4);
  expect(refused.err).toContain("there is no service nobody");
});

test("explain asks the running sidecar, and the destination's own", async () => {
  const { explanation, proxy } = await mesh.client.explain({
    from: "front",
    method: "GET",
    url: "http://back:8080/status/200",
    headers: ["version: v1"],
  });
  expect(proxy).toMatchObject({ service: "front", identity: "spiffe://cluster.local/ns/default/sa/front" });
  expect(explanation).toMatchObject({
    direction: "outbound",
    result: { kind: "forward" },
    route: { owner: { name: "back", rule: "http[3]" } },
    next: { direction: "inbound", result: { kind: "forward" } },
  });
  await expect(
    mesh.client.explain({ from: "nobody", method: "GET", url: "http://back:8080/" }),
  ).rejects.toThrow("there is no service nobody");
  await expect(
    mesh.client.explain({ from: "front", method: "GET", url: "http://b ck/" }),
  ).rejects.toMatchObject({
    kind: "invalid",
  });
});
