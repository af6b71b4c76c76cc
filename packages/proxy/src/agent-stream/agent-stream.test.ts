import { connect } from "node:net";

import { create } from "@bufbuild/protobuf";
import { Server, ServerCredentials, status as GrpcStatus, type ServerDuplexStream } from "@grpc/grpc-js";
import { MeshError, silentLogger, systemClock } from "@tulle/base";
import { GrpcClient } from "@tulle/http/socket";
import { eventually, FakeClock } from "@tulle/testkit";
import { grpcServiceDefinition } from "@tulle/xds";
import {
  Agent,
  HelloSchema,
  QuerySchema,
  ToProxySchema,
  WhyQuerySchema,
  type Answer,
  type FromProxy,
  type Query,
  type ToProxy,
} from "@tulle/xds/gen/tulle/v1/agent_pb.js";
import { afterEach, beforeEach, expect, test } from "vitest";

import { MetricsRegistry } from "../telemetry/metrics.js";
import { prometheusText } from "../telemetry/prometheus-text.js";
import { AgentStream } from "./agent-stream.js";

type Stream = ServerDuplexStream<FromProxy, ToProxy>;

let server: Server;
let port: number;
let streams: Stream[];
let heard: FromProxy["message"][];
let clock: FakeClock;
let metrics: MetricsRegistry;
let stream: AgentStream;
let clients: GrpcClient[];
let answer: (query: Query["query"]) => Promise<unknown>;

beforeEach(async () => {
  streams = [];
  heard = [];
  clients = [];
  clock = new FakeClock();
  metrics = new MetricsRegistry();
  answer = async () => [];
  server = new Server();
  server.addService(grpcServiceDefinition(Agent), {
    connect: (call: Stream) => {
      streams.push(call);
      call.on("data", ({ message }: FromProxy) => heard.push(message));
      call.on("error", () => undefined);
    },
  });
  port = await bind(server);
  stream = new AgentStream({
    hello: () => create(HelloSchema, { service: "web" }),
    answer: (query) => answer(query),
    clock,
    random: () => 0,
    logger: silentLogger,
    metrics,
  });
});

afterEach(() => {
  stream[Symbol.dispose]();
  for (const client of clients) client[Symbol.dispose]();
  server.forceShutdown();
});

function bind(of: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    of.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
}

function client(to = port): GrpcClient {
  const made = new GrpcClient({
    socket: connect(to, "127.0.0.1"),
    scheme: "http",
    authority: "control",
    clock: systemClock,
  });
  clients.push(made);
  return made;
}

function ask(id: number, requestId = "id-1"): void {
  const query = create(QuerySchema, {
    id,
    query: { case: "why", value: create(WhyQuerySchema, { requestId }) },
  });
  streams.at(-1)?.write(create(ToProxySchema, { query }));
}

function answers(): Answer[] {
  return heard.flatMap((message) => (message.case === "answer" ? [message.value] : []));
}

async function attached(): Promise<void> {
  stream.attach(client());
  await eventually(() => heard.length > 0);
}

test("AgentStream says hello and answers each query by its id", async () => {
  answer = async (query) => ({ asked: query.case, id: (query.value as { requestId: string }).requestId });
  await attached();
  expect(heard[0]).toMatchObject({ case: "hello", value: { service: "web" } });
  ask(7, "a");
  ask(8, "b");
  await eventually(() => answers().length === 2);
  expect(answers().map(({ id, outcome }) => [id, outcome.value])).toEqual([
    [7, '{"asked":"why","id":"a"}'],
    [8, '{"asked":"why","id":"b"}'],
  ]);
});

test("AgentStream tells failures by their kind, and nothing of those that are not expected", async () => {
  const thrown = [new MeshError("not-found", "PROXY_X", "none"), new Error("secret of the house")];
  answer = async () => {
    throw thrown.shift()!;
  };
  await attached();
  ask(1);
  ask(2);
  await eventually(() => answers().length === 2);
  expect(answers().map(({ outcome }) => outcome.value)).toEqual([
    expect.objectContaining({ kind: "not-found", code: "PROXY_X", message: "none" }),
    expect.objectContaining({ kind: "internal", message: expect.not.stringContaining("secret") as string }),
  ]);
});

test("AgentStream works on so many queries at once, and answers so many in a second", async () => {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  answer = () => released;
  await attached();
  for (let id = 1; id <= 20; id++) ask(id);
  await eventually(() => answers().length === 4);
  expect(answers().map(({ id, outcome }) => [id, (outcome.value as { kind: string }).kind])).toEqual(
    [17, 18, 19, 20].map((id) => [id, "exhausted"]),
  );
  release();
  await eventually(() => answers().length === 20);
  answer = async () => 1;
  for (let id = 1; id <= 90; id++) {
    ask(id);
    await eventually(() => answers().length === 20 + id);
  }
  const refused = answers()
    .slice(20)
    .filter(({ outcome }) => outcome.case === "failure");
  // Of the burst of 100, the first twenty took sixteen.
  expect(refused).toHaveLength(6);
});

test("AgentStream gives no answer that is too long, and drops those that a stuck stream does not take", async () => {
  answer = async () => "x".repeat(300 * 1024);
  await attached();
  ask(1);
  await eventually(() => answers().length === 1);
  expect(answers()[0]?.outcome).toMatchObject({ case: "failure", value: { code: "PROXY_ANSWER_TOO_LARGE" } });
  answer = async () => "x".repeat(250 * 1024);
  streams[0]?.pause();
  for (let id = 2; id <= 16; id++) ask(id);
  const dropped = (): boolean => /agent_queries_total\{result="dropped"\} \d/.test(prometheusText(metrics));
  await eventually(dropped);
  streams[0]?.resume();
});

test("AgentStream begins anew on a new connection, and after a failure with back-off on the same", async () => {
  await attached();
  stream.attach(client());
  await eventually(() => streams.length === 2);
  await eventually(() => heard.length === 2);
  streams[1]?.emit("error", { code: GrpcStatus.UNAVAILABLE, details: "later" });
  await eventually(() => !stream.connected);
  await clock.advance(999);
  expect(stream.connected).toBe(false);
  await clock.advance(1);
  await eventually(() => streams.length === 3);
});

test("AgentStream asks a control plane that does not know it no second time", async () => {
  const old = new Server();
  const to = await bind(old);
  stream.attach(client(to));
  await eventually(() => !stream.connected);
  await clock.advance(600_000);
  expect(stream.connected).toBe(false);
  old.forceShutdown();
});

test("AgentStream gives nobody the answer to what was asked on the stream before", async () => {
  const late: ((answer: string) => void)[] = [];
  answer = () => new Promise((resolve) => late.push(resolve));
  await attached();
  ask(1);
  await eventually(() => late.length === 1);
  stream.attach(client());
  await eventually(() => streams.length === 2 && heard.length === 2);
  late[0]?.("late");
  answer = async () => "fresh";
  ask(5);
  await eventually(() => answers().length > 0);
  expect(answers()).toMatchObject([{ id: 5, outcome: { value: '"fresh"' } }]);
});
