import { create } from "@bufbuild/protobuf";
import { status as GrpcStatus } from "@grpc/grpc-js";
import { silentLogger, systemClock, type MeshError } from "@tulle/base";
import { getHeader } from "@tulle/http";
import { eventually, FakeClock } from "@tulle/testkit";
import { WhyQuerySchema } from "@tulle/xds/gen/tulle/v1/agent_pb.js";
import { afterEach, beforeEach, expect, test } from "vitest";

import { startGrpcServer, type GrpcServer } from "../grpc/index.js";
import { AgentServer } from "./agent-server.js";
import type { ConnectedAgent } from "./contract.js";
import { TestAgent } from "./testdata/test-agent.js";

const WHY = { case: "why", value: create(WhyQuerySchema, { requestId: "id-1" }) } as const;
const HOUR = 3_600_000;

let clock: FakeClock;
let agents: AgentServer;
let server: GrpcServer;
let proxies: TestAgent[];

beforeEach(async () => {
  proxies = [];
  clock = new FakeClock();
  agents = new AgentServer({
    identify: (call) => {
      const account = getHeader(call.metadata, "x-certificate");
      if (account === undefined) return undefined;
      const spiffeId = `spiffe://cluster.local/ns/default/sa/${account}`;
      return { spiffeId, namespace: "default", serviceAccount: account, notAfter: clock.now() + 2 * HOUR };
    },
    clock,
    logger: silentLogger,
    maxStreams: 3,
  });
  server = await startGrpcServer({
    address: "127.0.0.1",
    port: 0,
    certificates: undefined,
    methods: agents.methods(),
    clock: systemClock,
  });
});

afterEach(async () => {
  for (const proxy of proxies) proxy[Symbol.dispose]();
  agents[Symbol.dispose]();
  await server.close(0);
});

function proxy(account = "web"): TestAgent {
  const made = new TestAgent(server.port, account);
  proxies.push(made);
  return made;
}

async function connected(name = "web-1"): Promise<{ agent: ConnectedAgent; end: TestAgent }> {
  const end = proxy();
  end.hello(name, "web");
  const agent = await eventually(() => agents.agents().find(({ id }) => id.includes(`~${name}.`)));
  return { agent, end };
}

test("AgentServer knows a proxy by its certificate and its hello", async () => {
  const { agent } = await connected();
  expect(agent).toMatchObject({
    id: "sidecar~127.0.0.1~web-1.default~default.svc.cluster.local",
    service: "web",
    namespace: "default",
    identity: "spiffe://cluster.local/ns/default/sa/web",
    version: "9.9.9",
    inboundAddress: "10.0.0.5:15006",
  });
});

test.each([
  ["without a certificate", "", GrpcStatus.UNAUTHENTICATED],
  ["that claims another account than its certificate's", "other", GrpcStatus.PERMISSION_DENIED],
])("AgentServer refuses a proxy %s", async (_name, account, code) => {
  const end = proxy(account);
  end.hello("web-1", "web");
  expect((await eventually(() => end.ended)).code).toBe(code);
  expect(agents.agents()).toEqual([]);
});

test("AgentServer refuses a proxy without a certificate before it says a word", async () => {
  const stranger = proxy("");
  expect((await eventually(() => stranger.ended)).code).toBe(GrpcStatus.UNAUTHENTICATED);
});

test("AgentServer refuses an answer before hello, a second hello, and a proxy that says nothing", async () => {
  const early = proxy();
  early.answer(1, {});
  expect((await eventually(() => early.ended)).code).toBe(GrpcStatus.INVALID_ARGUMENT);
  const { end } = await connected();
  end.hello("web-2", "web");
  expect((await eventually(() => end.ended)).code).toBe(GrpcStatus.INVALID_ARGUMENT);
  const silent = proxy();
  // Its call is there once one that began later is.
  await connected("web-3");
  await clock.advance(15_000);
  expect((await eventually(() => silent.ended)).code).toBe(GrpcStatus.DEADLINE_EXCEEDED);
});

test("AgentServer takes as many streams as it is told", async () => {
  await Promise.all([connected("web-1"), connected("web-2"), connected("web-3")]);
  const more = proxy();
  more.hello("web-4", "web");
  expect((await eventually(() => more.ended)).code).toBe(GrpcStatus.RESOURCE_EXHAUSTED);
});

test("of two streams of one proxy the newer is asked", async () => {
  const first = await connected();
  const second = proxy();
  second.hello("web-1", "web");
  await eventually(() => agents.agents()[0] !== first.agent);
  expect(agents.agents()).toHaveLength(1);
});

test("one of another identity that takes a proxy's id for its own is not asked", async () => {
  const first = await connected();
  const other = proxy("api");
  other.hello("web-1", "api");
  // Both are there once one that began later is.
  await connected("web-2");
  expect(agents.agents().find(({ id }) => id === first.agent.id)).toBe(first.agent);
});

test("a stream ends when its certificate does", async () => {
  const { end } = await connected();
  await clock.advance(HOUR);
  expect(end.ended).toBeUndefined();
  await clock.advance(HOUR);
  expect((await eventually(() => end.ended)).code).toBe(GrpcStatus.UNAVAILABLE);
  expect(agents.agents()).toEqual([]);
});

test("ask gets the answers to its questions, in whatever order they come", async () => {
  const { agent, end } = await connected();
  const answers = [agent.ask(WHY, 5000), agent.ask(WHY, 5000)];
  await eventually(() => end.queries.length === 2);
  expect(end.queries[0]?.query).toMatchObject({ case: "why", value: { requestId: "id-1" } });
  // Nobody asked this.
  end.answer(77, "?");
  end.answer(end.queries[1]!.id, "second");
  end.answer(end.queries[0]!.id, "first");
  expect(await Promise.all(answers)).toEqual(["first", "second"]);
});

test("ask rejects with the proxy's refusal, of kinds that are its affair as unavailable", async () => {
  const { agent, end } = await connected();
  const kinds = ["invalid", "not-found", "internal", "nonsense"];
  const refused = kinds.map((kind, index) =>
    agent.ask(WHY, 5000).catch((error: MeshError) => {
      expect(error.message).toBe(`no ${index}`);
      return `${error.kind} ${error.code} for ${kind}`;
    }),
  );
  await eventually(() => end.queries.length === kinds.length);
  for (const [index, { id }] of end.queries.entries()) {
    const failure = {
      kind: kinds[index]!,
      code: index === 0 ? "PROXY_QUERY" : "x y",
      message: `no ${index}`,
    };
    end.send({ case: "answer", value: { id, outcome: { case: "failure", value: failure } } });
  }
  expect(await Promise.all(refused)).toEqual([
    "invalid PROXY_QUERY for invalid",
    "not-found CONTROL_AGENT_FAILED for not-found",
    "unavailable CONTROL_AGENT_FAILED for internal",
    "unavailable CONTROL_AGENT_FAILED for nonsense",
  ]);
});

test("ask refuses answers that are no JSON, or too long", async () => {
  const { agent, end } = await connected();
  const asked = [agent.ask(WHY, 5000), agent.ask(WHY, 5000), agent.ask(WHY, 5000)];
  const settled = Promise.allSettled(asked);
  await eventually(() => end.queries.length === 3);
  const [first, second, third] = end.queries.map(({ id }) => id);
  end.send({ case: "answer", value: { id: first!, outcome: { case: "json", value: "{" } } });
  end.answer(second!, "x".repeat(400 * 1024));
  end.send({ case: "answer", value: { id: third! } });
  for (const each of await settled) {
    expect(each).toMatchObject({ status: "rejected", reason: { code: "CONTROL_AGENT_ANSWER" } });
  }
});

test("ask waits so long and no longer, asks a proxy so much at once and no more, and not one that has gone", async () => {
  const { agent, end } = await connected();
  const codes = Promise.all(
    Array.from({ length: 17 }, () => agent.ask(WHY, 5000).catch(({ code }: MeshError) => code)),
  );
  await eventually(() => end.queries.length === 16);
  await clock.advance(5000);
  expect(await codes).toEqual([
    ...Array.from({ length: 16 }, () => "CONTROL_AGENT_TIMEOUT"),
    "CONTROL_AGENT_BUSY",
  ]);
  const lost = agent.ask(WHY, 5000);
  end[Symbol.dispose]();
  await expect(lost).rejects.toMatchObject({ code: "CONTROL_AGENT_GONE" });
  await expect(agent.ask(WHY, 5000)).rejects.toMatchObject({ code: "CONTROL_AGENT_GONE" });
});

test("AgentServer tells of proxies that went away and whose address is still registered, until they are back", async () => {
  const { agent, end } = await connected();
  const { id, inboundAddress } = agent;
  const lost = (): readonly string[] =>
    agents.lost((address) => address === inboundAddress).map((each) => each.id);
  expect(lost()).toEqual([]);
  end[Symbol.dispose]();
  await eventually(() => agents.agents().length === 0);
  // It may be connecting again.
  expect(lost()).toEqual([]);
  await clock.advance(10_000);
  expect(lost()).toEqual([id]);
  expect(agents.lost(() => false)).toEqual([]);
  await connected();
  expect(lost()).toEqual([]);
});
