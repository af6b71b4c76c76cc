import * as grpc from "@grpc/grpc-js";
import { eventually } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { GrpcStatus } from "../grpc.js";
import type { GrpcClient } from "./grpc-client.js";
import { connectTo, RecordedCall, textMethod } from "./testdata/recorded-call.js";

// The contract with other implementations: a server of @grpc/grpc-js.

type Stream = grpc.ServerDuplexStream<string, string>;

const MIB = 1024 * 1024;
const LARGEST = 4 * MIB;

let server: grpc.Server;
let port: number;
let client: GrpcClient;
/** Calls that the server got, and those of them that the client cancelled. */
let metadata: grpc.Metadata[];
let streams: Stream[];
let cancelled: number;
let deadlines: grpc.Deadline[];

beforeEach(async () => {
  metadata = [];
  streams = [];
  cancelled = 0;
  deadlines = [];
  server = new grpc.Server({ "grpc.max_receive_message_length": 16 * MIB });
  const text = {
    requestSerialize: (value: string) => Buffer.from(value),
    requestDeserialize: String,
    responseSerialize: (value: string) => Buffer.from(value),
    responseDeserialize: String,
  };
  const method = (name: string, stream: boolean): grpc.MethodDefinition<string, string> => ({
    path: `/test.Text/${name}`,
    requestStream: stream,
    responseStream: stream,
    ...text,
  });
  const begin = (call: grpc.ServerUnaryCall<string, string> | Stream): void => {
    metadata.push(call.metadata);
    deadlines.push(call.getDeadline());
    call.on("cancelled", () => cancelled++);
  };
  server.addService(
    {
      Upper: method("Upper", false),
      Fail: method("Fail", false),
      Silent: method("Silent", false),
      Echo: method("Echo", true),
      Hold: method("Hold", true),
    },
    {
      Upper: (call: grpc.ServerUnaryCall<string, string>, callback: grpc.sendUnaryData<string>) => {
        begin(call);
        callback(null, call.request.toUpperCase());
      },
      Fail: (call: grpc.ServerUnaryCall<string, string>, callback: grpc.sendUnaryData<string>) => {
        callback({ code: Number(call.request), details: "50% of grüße\nand more" });
      },
      Silent: begin,
      Echo: (call: Stream) => {
        begin(call);
        call.on("data", (message: string) => {
          if (!call.write(message)) call.pause();
        });
        call.on("drain", () => call.resume());
        call.on("end", () => call.end());
      },
      Hold: (call: Stream) => {
        begin(call);
        streams.push(call);
        call.on("error", () => undefined);
      },
    },
  );
  port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  client = connectTo(port);
});

afterEach(() => {
  client[Symbol.dispose]();
  server.forceShutdown();
});

test("unary calls bring their metadata there and one message back, several on one connection", async () => {
  const answers = await Promise.all(
    ["one", "two", "three"].map((text) =>
      client.unary(textMethod("Upper"), text, { metadata: ["authorization", "Bearer t"] }),
    ),
  );
  expect(answers).toEqual(["ONE", "TWO", "THREE"]);
  expect(metadata.map((fields) => fields.get("authorization"))).toEqual([1, 2, 3].map(() => ["Bearer t"]));
  expect(metadata[0]?.get("user-agent")[0]).toMatch(/^tulle\//);
});

test.each([
  [3, "invalid"],
  [4, "timeout"],
  [5, "not-found"],
  [7, "denied"],
  [8, "exhausted"],
  [12, "unimplemented"],
  [13, "internal"],
  [14, "unavailable"],
  [15, "internal"],
  [16, "unauthenticated"],
])("status %d of a unary call is an error of kind %s with the server's text", async (code, kind) => {
  await expect(client.unary(textMethod("Fail"), String(code))).rejects.toMatchObject({
    kind,
    code: "GRPC_CALL_FAILED",
    message: "50% of grüße\nand more",
  });
});

test("a method that the server has not is unimplemented", async () => {
  await expect(client.unary(textMethod("Nothing"), "-")).rejects.toMatchObject({ kind: "unimplemented" });
});

test("a stream carries messages both ways, in order, and ends with OK after its end", async () => {
  const echo = new RecordedCall(client, "Echo");
  const sent = Array.from({ length: 500 }, (_, i) => `${i} ${"x".repeat(i)}`);
  for (const message of sent) echo.call.write(message);
  echo.call.end();
  expect(await echo.end()).toEqual([GrpcStatus.OK, "OK"]);
  expect(echo.messages).toEqual(sent);
});

test("messages of the largest size pass both ways under back-pressure", async () => {
  const echo = new RecordedCall(client, "Echo");
  const large = "m".repeat(LARGEST);
  for (let i = 0; i < 3; i++) {
    expect(echo.call.write(large)).toBe(false);
    await eventually(() => echo.writable === i + 1);
  }
  echo.call.end();
  expect(await echo.end()).toEqual([GrpcStatus.OK, "OK"]);
  expect(echo.messages.map((message) => message.length)).toEqual([LARGEST, LARGEST, LARGEST]);
});

test("a message above the limit ends the call, received or sent, and only this one", async () => {
  const hold = new RecordedCall(client, "Hold");
  (await eventually(() => streams[0])).write("m".repeat(LARGEST + 1));
  expect(await hold.end()).toEqual([GrpcStatus.RESOURCE_EXHAUSTED, "a message is larger than the limit"]);
  const echo = new RecordedCall(client, "Echo");
  expect(echo.call.write("m".repeat(LARGEST + 1))).toBe(false);
  echo.call.write("without the one before it");
  expect(await echo.end()).toEqual([
    GrpcStatus.RESOURCE_EXHAUSTED,
    "a message of 4194305 bytes is larger than the limit of 4194304",
  ]);
  expect(echo.messages).toEqual([]);
  await eventually(() => cancelled === 2);
  expect(await client.unary(textMethod("Upper"), "still here")).toBe("STILL HERE");
});

test("a deadline ends the call here, and the server knows it", async () => {
  await expect(client.unary(textMethod("Silent"), "-", { timeoutMs: 300 })).rejects.toMatchObject({
    kind: "timeout",
  });
  expect(Number(deadlines[0])).toBeLessThan(Date.now() + 300);
  await eventually(() => cancelled === 1);
});

test("a cancelled call ends at the server, and brings no event any more", async () => {
  const hold = new RecordedCall(client, "Hold");
  const stream = await eventually(() => streams[0]);
  stream.write("one");
  await eventually(() => hold.messages.length === 1);
  hold.call.cancel();
  stream.write("two");
  await eventually(() => cancelled === 1);
  // Later than anything that was on its way.
  await client.unary(textMethod("Upper"), "-");
  expect(hold.messages).toEqual(["one"]);
  expect(hold.ends).toEqual([]);
});

test("a paused call stops the server at a window, and nothing is lost", async () => {
  const hold = new RecordedCall(client, "Hold");
  hold.call.pause();
  const stream = await eventually(() => streams[0]);
  const chunk = "c".repeat(64 * 1024);
  const count = 40;
  for (let i = 0; i < count; i++) stream.write(`${i} ${chunk}`);
  stream.end();
  await eventually(() => hold.messages.length === 3);
  // Another call passes meanwhile: the connection's window is not used up.
  expect(await client.unary(textMethod("Upper"), "by the way")).toBe("BY THE WAY");
  expect(hold.messages.length).toBe(3);
  hold.call.resume();
  expect(await hold.end()).toEqual([GrpcStatus.OK, "OK"]);
  expect(hold.messages.map((message) => Number.parseInt(message, 10))).toEqual(
    Array.from({ length: count }, (_, i) => i),
  );
});

test("a server that takes nothing ends a call that does not stop writing, before memory does", async () => {
  const hold = new RecordedCall(client, "Hold");
  await eventually(() => streams[0]);
  const chunk = "c".repeat(MIB);
  let written = 0;
  while (hold.ends.length === 0) {
    hold.call.write(chunk);
    written++;
    await new Promise(setImmediate);
  }
  expect(written).toBeLessThanOrEqual(12);
  expect((await hold.end())[0]).toBe(GrpcStatus.RESOURCE_EXHAUSTED);
});

test("a message that cannot be decoded ends the call", async () => {
  const hold = new RecordedCall(client, "Hold");
  (await eventually(() => streams[0])).write("\0");
  expect(await hold.end()).toEqual([
    GrpcStatus.INTERNAL,
    "a message of the server cannot be decoded: a zero",
  ]);
});

test("a server that shuts down lets calls end, and takes no new ones", async () => {
  const hold = new RecordedCall(client, "Hold");
  const stream = await eventually(() => streams[0]);
  let down = false;
  server.tryShutdown(() => {
    down = true;
  });
  await eventually(async () => {
    const late = new RecordedCall(client, "Upper");
    late.call.write("-");
    return (await late.end())[0] === GrpcStatus.UNAVAILABLE;
  });
  stream.write("last");
  stream.end();
  expect(await hold.end()).toEqual([GrpcStatus.OK, "OK"]);
  expect(hold.messages).toEqual(["last"]);
  await eventually(() => down);
});

test("a server that goes away ends all calls", async () => {
  const calls = Array.from({ length: 3 }, () => new RecordedCall(client, "Hold"));
  await eventually(() => streams.length === 3);
  server.forceShutdown();
  for (const hold of calls) expect((await hold.end())[0]).toBeGreaterThan(0);
  const late = new RecordedCall(client, "Hold");
  expect((await late.end())[0]).toBe(GrpcStatus.UNAVAILABLE);
  expect(calls.map((hold) => hold.ends.length)).toEqual([1, 1, 1]);
});

test("disposing the client cancels its calls and closes the connection", async () => {
  const hold = new RecordedCall(client, "Hold");
  await eventually(() => streams[0]);
  client[Symbol.dispose]();
  expect(hold.ends).toEqual([[GrpcStatus.CANCELLED, "the client was closed"]]);
  await eventually(() => cancelled === 1);
  await new Promise<void>((resolve) => {
    server.tryShutdown(() => resolve());
  });
});
