import { MeshError } from "@tulle/base";
import type { RequestRecord } from "@tulle/api";
import { expect, test } from "vitest";

import { AgentQueries } from "./agent-queries.js";
import type { AgentQuery, ConnectedAgent } from "./contract.js";

function record(direction: "inbound" | "outbound", more: Partial<RequestRecord> = {}): RequestRecord {
  return {
    requestId: "id-1",
    time: 0,
    durationMs: 1,
    direction,
    kept: "failed",
    entropy: 0,
    snapshot: 1,
    versions: {},
    request: {
      method: "GET",
      authority: "a",
      path: "/",
      scheme: "http",
      protocol: "HTTP/2",
      headers: [],
      omittedHeaders: 0,
    },
    local: "",
    remote: "",
    principal: "",
    serverName: "",
    listener: "",
    route: "",
    owner: { config: "", rule: "" },
    cluster: "",
    tries: [],
    attempts: 0,
    response: { status: 503, flags: "", details: "", grpcStatus: -1, transportFailure: "" },
    ...more,
  };
}

function trying(...endpoints: readonly string[]): Partial<RequestRecord> {
  return {
    tries: endpoints.map((endpoint) => ({
      endpoint,
      at: 0,
      ms: 1,
      outcome: "closed",
      status: 0,
      detail: "",
    })),
  };
}

interface AgentInit {
  readonly inboundAddress?: string;
  readonly queries?: readonly string[];
  readonly answer?: (query: AgentQuery) => unknown;
}

function agent(service: string, { inboundAddress = "", queries, answer }: AgentInit = {}): ConnectedAgent {
  return {
    id: `sidecar~127.0.0.1~${service}-1.default~default.svc.cluster.local`,
    service,
    namespace: "default",
    identity: `spiffe://cluster.local/ns/default/sa/${service}`,
    version: "1",
    inboundAddress,
    queries: new Set(queries ?? ["explain", "why", "load", "log_level", "clusters"]),
    connectedAt: 0,
    ask: async (query) => answer?.(query) ?? [],
  };
}

function queriesOf(...agents: readonly ConnectedAgent[]): AgentQueries {
  const known = { name: "known", namespace: "default", ports: [], portless: false, instances: [] };
  return new AgentQueries({
    agents: () => agents,
    catalog: { service: (_namespace, name) => (name === "known" ? known : undefined) },
  });
}

test("why puts the hops in the order in which the request went, whatever clocks say", async () => {
  const front = agent("front", {
    inboundAddress: "10.0.0.1:15006",
    answer: () => [
      { record: record("inbound", { time: 900, principal: agent("caller").identity }) },
      { record: record("outbound", { time: 901, ...trying("10.0.0.2:15006") }) },
      { record: record("outbound", { time: 950, ...trying("10.0.0.3:15006") }) },
    ],
  });
  const identity = front.identity;
  const caller = agent("caller", {
    answer: () => [{ record: record("outbound", { time: 500, ...trying("10.0.0.9:1", "10.0.0.1:15006") }) }],
  });
  const back = agent("back", {
    inboundAddress: "10.0.0.2:15006",
    answer: () => [{ record: record("inbound", { time: 20, principal: identity }) }],
  });
  const other = agent("other", {
    inboundAddress: "10.0.0.3:15006",
    answer: () => [{ record: record("inbound", { time: 10, principal: identity }) }],
  });
  const { hops, asked } = await queriesOf(back, caller, front, other).why("id-1");
  expect(asked).toBe(4);
  expect(hops.map((hop) => [hop.depth, hop.proxy.service, hop.record.time])).toEqual([
    [0, "caller", 500],
    [1, "front", 900],
    [2, "front", 901],
    [3, "back", 20],
    [2, "front", 950],
    [3, "other", 10],
  ]);
});

test("why does not take one that another identity called for the next hop", async () => {
  const back = agent("back", {
    inboundAddress: "10.0.0.2:15006",
    answer: () => [{ record: record("inbound", { principal: "spiffe://cluster.local/ns/default/sa/else" }) }],
  });
  const caller = agent("caller", {
    answer: () => [{ record: record("outbound", trying("10.0.0.2:15006")) }],
  });
  const { hops } = await queriesOf(back, caller).why("id-1");
  expect(hops.map(({ depth }) => depth)).toEqual([0, 0]);
});

test("why tells all of a service that calls itself", async () => {
  const own = agent("own", {
    inboundAddress: "10.0.0.1:15006",
    answer: () => [
      { record: record("inbound", { time: 2, principal: agent("own").identity }) },
      { record: record("outbound", { time: 1, ...trying("10.0.0.1:15006") }) },
    ],
  });
  const { hops } = await queriesOf(own).why("id-1");
  expect(hops).toHaveLength(2);
});

test("why says who did not answer, or not as expected, or cannot", async () => {
  const late = agent("late", {
    answer: () => {
      throw new MeshError("timeout", "CONTROL_AGENT_TIMEOUT", "too late");
    },
  });
  const odd = agent("odd", { answer: () => [{ record: { time: "now" } }] });
  const old = agent("old", { queries: [] });
  const { hops, silent } = await queriesOf(late, odd, old, agent("fine")).why("id-1");
  expect(hops).toEqual([]);
  expect(silent.map(({ proxy, reason }) => [proxy.split("~")[2], reason])).toEqual([
    ["late-1.default", "too late"],
    ["odd-1.default", expect.stringContaining("records[0].record")],
    ["old-1.default", expect.stringContaining("update it")],
  ]);
});

test("why asks so many proxies at once and no more, and so many times at once", async () => {
  let atOnce = 0;
  let most = 0;
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const many = Array.from({ length: 200 }, (_, i) =>
    agent(`s${i}`, {
      answer: async () => {
        most = Math.max(most, ++atOnce);
        await released;
        atOnce--;
        return [];
      },
    }),
  );
  const queries = queriesOf(
    ...many.map((each) => ({ ...each, ask: async () => each.ask(undefined as never, 0) })),
  );
  const asked = Array.from({ length: 5 }, () => queries.why("id-1"));
  const settled = Promise.allSettled(asked);
  release();
  const states = (await settled).map(({ status }) => status);
  expect(states).toEqual(["fulfilled", "fulfilled", "fulfilled", "fulfilled", "rejected"]);
  await expect(asked[4]).rejects.toMatchObject({ kind: "exhausted" });
  expect(most).toBeLessThanOrEqual(4 * 64);
  expect(most).toBeGreaterThan(1);
});

test("explain asks a proxy of the service, then the destination's", async () => {
  const explanation = {
    version: 1,
    request: { headers: ["version: v2"] },
    endpoints: [
      { address: "10.0.0.9:15006", chosen: false },
      { address: "10.0.0.2:15006", chosen: true },
    ],
    upstream: { authority: "back:8080", path: "/x", tls: { serverName: "sni", spiffeIds: [] } },
  };
  const asked: AgentQuery[] = [];
  const front = agent("front", { answer: () => explanation });
  const back = agent("back", {
    inboundAddress: "10.0.0.2:15006",
    answer: (query) => {
      asked.push(query);
      return { version: 1, direction: "inbound" };
    },
  });
  const answer = await queriesOf(back, front).explain({
    from: "front",
    method: "POST",
    url: "http://back:8080/x",
  });
  expect(answer.proxy).toMatchObject({ service: "front", identity: front.identity });
  expect(answer.explanation).toEqual({ ...explanation, next: { version: 1, direction: "inbound" } });
  expect(asked[0]?.value).toMatchObject({
    method: "POST",
    url: "http://back:8080/x",
    headers: ["version: v2"],
    inbound: true,
    principal: front.identity,
    serverName: "sni",
  });
});

test("explain finds a proxy by the name that people see, too", async () => {
  const front = agent("front", { answer: () => ({ version: 1 }) });
  const { proxy } = await queriesOf(front).explain({
    from: "front-1.default",
    method: "GET",
    url: "http://b/",
  });
  expect(proxy.service).toBe("front");
});

test.each([
  ["nobody", "there is no service nobody"],
  ["known", "no proxy of service known"],
  ["old", "update it"],
  ["odd", "gave no explanation"],
])("explain from %s says what is wrong", async (from, text) => {
  const queries = queriesOf(agent("old", { queries: [] }), agent("odd", { answer: () => "no object" }));
  await expect(queries.explain({ from, method: "GET", url: "http://b/" })).rejects.toThrow(text);
});

test("explain is told without its second half when the destination tells nothing that can be read", async () => {
  const hostile = { endpoints: [null, { chosen: true, address: 5 }], upstream: "x", request: [] };
  const front = agent("front", { answer: () => hostile });
  const { explanation } = await queriesOf(front).explain({ from: "front", method: "GET", url: "http://b/" });
  expect(explanation).toEqual(hostile);
});

test("ask puts its question to the proxy that is named", async () => {
  const front = agent("front", { answer: ({ value }) => ({ ...value }) });
  const queries = queriesOf(front);
  expect(await queries.ask("front-1.default", { kind: "load", cluster: "c" })).toMatchObject({
    cluster: "c",
  });
  expect(await queries.ask(front.id, { kind: "log-level", level: "debug" })).toMatchObject({
    level: "debug",
  });
  await expect(queries.ask("x", { kind: "clusters" })).rejects.toMatchObject({ code: "CONTROL_NO_PROXY" });
});
