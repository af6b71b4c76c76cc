import { connect as connectHttp2, constants, type ClientHttp2Stream } from "node:http2";
import { createServer, type AddressInfo, type Server } from "node:net";

import * as grpc from "@grpc/grpc-js";
import { MeshError } from "@tulle/base";
import { eventually, FakeClock, settle } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { encodeGrpcMessage } from "../grpc-frames.js";
import { GrpcStatus, grpcStatusOfKind } from "../grpc.js";
import { GrpcServer } from "./grpc-server.js";
import type { GrpcServerCall, GrpcServerMethod } from "./grpc-server-call.js";
import { streamingMethod, unaryMethod } from "./grpc-server-method.js";

// The contract with other implementations: a client of @grpc/grpc-js, and of node:http2 for what that would not send.

const MIB = 1024 * 1024;
const LARGEST = 4 * MIB;

const clients: { close(): void }[] = [];
let clock: FakeClock;
let calls: GrpcServer;
let listener: Server;
let port: number;
/** Streams that Hold was asked for, and what they were told of. */
let held: GrpcServerCall<string>[];
let events: string[];

const codec = (name: string) => ({
  path: `/test.Text/${name}`,
  requestDeserialize: (bytes: Uint8Array): string => {
    const text = String(Buffer.from(bytes));
    if (text === "undecodable") throw new Error("not this");
    return text;
  },
  responseSerialize: (text: string): Uint8Array => Buffer.from(text),
});

const methods: readonly GrpcServerMethod[] = [
  unaryMethod(
    codec("Upper"),
    async (text, { metadata }) => {
      if (text === "fail") throw new MeshError("not-found", "X", "50% of grüße\nand more");
      return `${text.toUpperCase()} ${metadata[metadata.indexOf("x-from") + 1] ?? ""}`;
    },
    (thrown) => {
      const { kind, message } = MeshError.from(thrown);
      return { status: grpcStatusOfKind(kind), message };
    },
  ),
  streamingMethod(codec("Echo"), (call: GrpcServerCall<string>) => ({
    onMessage: (text) => {
      if (!call.write(text)) call.pause();
    },
    onTaken: () => {
      if (call.waitingBytes === 0) call.resume();
    },
    onEnd: () => call.end(),
    onGone: () => undefined,
  })),
  streamingMethod(codec("Hold"), (call: GrpcServerCall<string>) => {
    held.push(call);
    return {
      onMessage: (text) => {
        if (text === "throw") throw new Error("a secret");
        events.push(text);
      },
      onTaken: () => void events.push("taken"),
      onEnd: () => void events.push("end"),
      onGone: () => void events.push("gone"),
    };
  }),
  streamingMethod(codec("Refuse"), (call: GrpcServerCall<string>) => {
    call.end(GrpcStatus.PERMISSION_DENIED, "not you");
    return undefined;
  }),
  streamingMethod(codec("Flood"), (call: GrpcServerCall<string>) => {
    call.write("x".repeat(LARGEST + 1));
    return {
      onMessage: () => undefined,
      onTaken: () => undefined,
      onEnd: () => undefined,
      onGone: () => {
        events.push("gone");
        throw new Error("a secret");
      },
    };
  }),
  streamingMethod(codec("Throw"), () => {
    throw new MeshError("unavailable", "X", "not now");
  }),
];

beforeEach(async () => {
  clock = new FakeClock();
  held = [];
  events = [];
  calls = new GrpcServer({ methods, clock, maxMessageBytes: LARGEST, idleTimeoutMs: 60_000 });
  listener = createServer((socket) => calls.serve(socket, { address: "", certificateDer: undefined }));
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  port = (listener.address() as AddressInfo).port;
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  const closed = calls.close(0);
  await clock.advance(1);
  await closed;
  listener.close();
});

function grpcClient(): grpc.Client {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    "grpc.max_receive_message_length": 16 * MIB,
    "grpc.use_local_subchannel_pool": 1,
  });
  clients.push(client);
  return client;
}

const encode = (text: string): Buffer => Buffer.from(text);

function ask(name: string, text: string, options: grpc.CallOptions = {}): Promise<string | undefined> {
  const metadata = new grpc.Metadata();
  metadata.set("x-from", "me");
  return new Promise((resolve, reject) => {
    grpcClient().makeUnaryRequest(
      `/test.Text/${name}`,
      encode,
      String,
      text,
      metadata,
      options,
      (error, value) => (error === null ? resolve(value) : reject(error)),
    );
  });
}

interface Opened {
  readonly call: grpc.ClientDuplexStream<string, string>;
  readonly messages: string[];
  status: grpc.StatusObject | undefined;
}

function open(name: string, options: grpc.CallOptions = {}): Opened {
  const call = grpcClient().makeBidiStreamRequest(`/test.Text/${name}`, encode, String, options);
  const opened: Opened = { call, messages: [], status: undefined };
  call.on("data", (text: string) => opened.messages.push(text));
  call.on("error", () => undefined);
  call.on("status", (status) => {
    opened.status = status;
  });
  return opened;
}

/** A stream of node:http2, which a test writes to as it likes. */
function raw(name: string, fields: Record<string, string> = {}): ClientHttp2Stream {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on("error", () => undefined);
  clients.push({ close: () => session.destroy() });
  const stream = session.request({
    ":method": "POST",
    ":path": `/test.Text/${name}`,
    "content-type": "application/grpc",
    te: "trailers",
    ...fields,
  });
  stream.on("error", () => undefined);
  return stream;
}

/** Head and trailers of a raw stream in one. */
function fieldsOf(stream: ClientHttp2Stream): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  stream.on("response", (headers) => Object.assign(fields, headers));
  stream.on("trailers", (headers) => Object.assign(fields, headers));
  stream.resume();
  return fields;
}

test("a unary call gets its answer, which knows the call's metadata", async () => {
  expect(await Promise.all(["one", "two"].map((text) => ask("Upper", text)))).toEqual(["ONE me", "TWO me"]);
});

test("a failure of a unary call is a status with its text", async () => {
  await expect(ask("Upper", "fail")).rejects.toMatchObject({
    code: GrpcStatus.NOT_FOUND,
    details: "50% of grüße\nand more",
  });
});

test("a unary call takes one message, no more and no less", async () => {
  for (const messages of [[], ["one", "two"]]) {
    const { call, ...opened } = open("Upper");
    call.on("status", (status) => Object.assign(opened, { status }));
    for (const text of messages) call.write(text);
    call.end();
    expect((await eventually(() => opened.status)).code).toBe(GrpcStatus.INVALID_ARGUMENT);
  }
});

test("a stream carries messages both ways, in order, and ends with OK", async () => {
  const echo = open("Echo");
  const sent = Array.from({ length: 500 }, (_, i) => `${i} ${"x".repeat(i)}`);
  for (const text of sent) echo.call.write(text);
  echo.call.end();
  expect((await eventually(() => echo.status)).code).toBe(GrpcStatus.OK);
  expect(echo.messages).toEqual(sent);
});

test("messages of the largest size pass both ways under back-pressure, larger ones are refused", async () => {
  const echo = open("Echo");
  const large = "m".repeat(LARGEST);
  for (let i = 0; i < 3; i++) echo.call.write(large);
  echo.call.end();
  expect((await eventually(() => echo.status, 20_000)).code).toBe(GrpcStatus.OK);
  expect(echo.messages.map((text) => text.length)).toEqual([LARGEST, LARGEST, LARGEST]);
  const tooLarge = open("Echo");
  tooLarge.call.write(`${large}m`);
  expect((await eventually(() => tooLarge.status)).code).toBe(GrpcStatus.RESOURCE_EXHAUSTED);
});

test("a method that is not there, one that refuses, and one that throws end the call with a status", async () => {
  const cases = { Nothing: "UNIMPLEMENTED", Refuse: "PERMISSION_DENIED", Throw: "UNAVAILABLE" } as const;
  for (const [name, status] of Object.entries(cases)) {
    const opened = open(name);
    expect((await eventually(() => opened.status)).code).toBe(GrpcStatus[status]);
  }
});

test("what a handler throws ends its own call, and tells the client nothing", async () => {
  const failing = open("Hold");
  const other = open("Hold");
  failing.call.write("throw");
  const { code, details } = await eventually(() => failing.status);
  expect(code).toBe(GrpcStatus.INTERNAL);
  expect(details).not.toContain("secret");
  expect(events).toEqual(["gone"]);
  other.call.write("still here");
  await eventually(() => events.includes("still here"));
});

test("a handler whose call fails while it is opened learns it, and what it throws then harms nobody", async () => {
  const flooding = open("Flood");
  expect((await eventually(() => flooding.status)).code).toBe(GrpcStatus.RESOURCE_EXHAUSTED);
  expect(events).toEqual(["gone"]);
  expect(await ask("Upper", "on")).toBe("ON me");
});

/** A message of that size of which the last byte does not come. */
function unfinished(bytes: number): Buffer {
  return encodeGrpcMessage(Buffer.alloc(bytes)).subarray(0, -1);
}

test("a unary request is small, and whole in time", async () => {
  const large = raw("Upper");
  const refused = fieldsOf(large);
  large.write(unfinished(65 * 1024));
  expect(await eventually(() => refused["grpc-status"])).toBe("8");
  const slow = raw("Upper");
  const late = fieldsOf(slow);
  slow.write(unfinished(1000));
  // Its call is there once one that began later is.
  expect(await ask("Upper", "on")).toBe("ON me");
  await clock.advance(15_000);
  expect(await eventually(() => late["grpc-status"])).toBe("4");
});

test("requests that are not whole take so much memory together, and no more", async () => {
  const all = Array.from({ length: 9 }, () => {
    const stream = raw("Hold");
    stream.write(unfinished(LARGEST));
    return { stream, fields: fieldsOf(stream) };
  });
  // One that sends on nevertheless is reset.
  const { NGHTTP2_ENHANCE_YOUR_CALM } = constants;
  const refused = () =>
    all.filter(
      ({ stream, fields }) => fields["grpc-status"] === "8" || stream.rstCode === NGHTTP2_ENHANCE_YOUR_CALM,
    ).length;
  await eventually(() => refused() > 0, 20_000);
  expect(refused()).toBeLessThan(9);
  // Messages that come in one piece pass all the same, and what is over makes room.
  expect(await ask("Upper", "on")).toBe("ON me");
  for (const client of clients.splice(0)) client.close();
  await eventually(() => events.filter((event) => event === "gone").length === 9);
  const echo = open("Echo");
  echo.call.write("m".repeat(LARGEST));
  echo.call.end();
  expect((await eventually(() => echo.status, 20_000)).code).toBe(GrpcStatus.OK);
});

test("a message that cannot be decoded, a compressed one, and one that is cut end the call", async () => {
  const undecodable = open("Hold");
  undecodable.call.write("undecodable");
  expect((await eventually(() => undecodable.status)).code).toBe(GrpcStatus.INTERNAL);
  await eventually(() => events.includes("gone"));
  for (const [bytes, status] of [
    [Buffer.of(1, 0, 0, 0, 1, 65), GrpcStatus.UNIMPLEMENTED],
    [Buffer.of(7, 0, 0, 0, 1, 65), GrpcStatus.INTERNAL],
    [Buffer.of(0, 0, 0, 0, 9, 65), GrpcStatus.INTERNAL],
  ] as const) {
    const stream = raw("Hold");
    const fields = fieldsOf(stream);
    stream.end(bytes);
    expect(Number(await eventually(() => fields["grpc-status"] as string))).toBe(status);
  }
});

test("what is no call of gRPC is refused as HTTP", async () => {
  const page = fieldsOf(raw("Upper", { "content-type": "text/html" }));
  expect(await eventually(() => page[":status"])).toBe(415);
  const got = fieldsOf(raw("Upper", { ":method": "GET" }));
  expect(await eventually(() => got[":status"])).toBe(405);
});

test("a call that its client cancels, or whose connection breaks, is gone", async () => {
  const cancelled = open("Hold");
  await eventually(() => held.length === 1);
  cancelled.call.cancel();
  await eventually(() => events.at(-1) === "gone");
  const broken = raw("Hold");
  await eventually(() => held.length === 2);
  broken.session?.destroy();
  await eventually(() => events.filter((event) => event === "gone").length === 2);
  held[0]?.write("to nobody");
  held[0]?.end();
});

test("a deadline ends the call on both sides", async () => {
  const stream = raw("Hold", { "grpc-timeout": "250m" });
  const fields = fieldsOf(stream);
  await eventually(() => held.length === 1);
  await clock.advance(249);
  expect(events).toEqual([]);
  await clock.advance(1);
  expect(events).toEqual(["gone"]);
  expect(await eventually(() => fields["grpc-status"])).toBe("4");
});

test("a client that does not read is seen, and can be cut", async () => {
  const stream = raw("Hold");
  await eventually(() => held.length === 1);
  const [call] = held as [GrpcServerCall<string>];
  stream.pause();
  while (call.write("x".repeat(MIB)));
  await eventually(() => call.waitingBytes > 0);
  call.cut();
  expect(events.filter((event) => event === "gone")).toEqual([]);
  await eventually(() => stream.rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM);
});

test("no more waits for a client than two messages of the largest size: then it is cut", async () => {
  const stream = raw("Hold");
  await eventually(() => held.length === 1);
  const [call] = held as [GrpcServerCall<string>];
  stream.pause();
  for (let i = 0; i < 4; i++) call.write("x".repeat(LARGEST));
  expect(events.at(-1)).toBe("gone");
  await eventually(() => stream.rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM);
});

test("an answer before the request's end ends the call, and the client is told to stop", async () => {
  const stream = raw("Refuse");
  const fields = fieldsOf(stream);
  stream.write(encodeGrpcMessage(Buffer.alloc(100)));
  expect(await eventually(() => fields["grpc-status"])).toBe("7");
  await clock.advance(2000);
  await eventually(() => stream.closed);
});

test("a connection without a call is closed after a while", async () => {
  const stream = raw("Upper");
  const { session } = stream;
  stream.end(encodeGrpcMessage(Buffer.from("x")));
  stream.resume();
  await eventually(() => stream.closed);
  await clock.advance(55_000);
  await settle();
  expect(session?.closed).toBe(false);
  await clock.advance(11_000);
  await eventually(() => session?.closed);
});

test("close lets calls finish for its time, takes no more, and cuts what is left", async () => {
  const patient = open("Hold");
  const finishing = open("Hold");
  await eventually(() => held.length === 2);
  let closed = false;
  const closing = calls.close(1000).then(() => {
    closed = true;
  });
  held[1]?.end();
  await eventually(() => [patient, finishing].some(({ status }) => Number(status?.code) === GrpcStatus.OK));
  expect(closed).toBe(false);
  await clock.advance(1000);
  await closing;
  expect(events).toEqual(["gone"]);
  const late = open("Hold");
  expect((await eventually(() => late.status)).code).toBe(GrpcStatus.UNAVAILABLE);
});
