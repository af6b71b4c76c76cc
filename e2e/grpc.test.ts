import * as grpc from "@grpc/grpc-js";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { CHAT, Mesh } from "./support/mesh.js";
import type { Workload } from "./support/workload.js";

// gRPC applications that nobody changed, with @grpc/grpc-js on both ends and two sidecars between. The cases are those
// of gRPC's interoperability tests.

const toBytes = (text: string): Buffer => Buffer.from(text);
const toText = (bytes: Buffer): string => bytes.toString();

let mesh: Mesh;
let caller: Workload;
let client: grpc.Client;

beforeAll(async () => {
  mesh = await Mesh.start();
  const [, sidecar] = await Promise.all([
    mesh.run({ service: "chat", args: ["--protocol", "grpc"], command: CHAT, healthPath: "" }),
    mesh.sidecar({ service: "caller", args: ["--upstream", "chat:8080", "--upstream", "nobody:8080"] }),
  ]);
  caller = sidecar;
  client = dial("chat:8080");
}, 60_000);

afterAll(async () => {
  client?.close();
  await mesh?.end();
});

function dial(upstream: string): grpc.Client {
  const target = caller.upstream(upstream).replace("http://", "");
  return new grpc.Client(target, grpc.credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
  });
}

interface Outcome {
  readonly code: number;
  readonly details: string;
  readonly answer: string | undefined;
  readonly initial: grpc.Metadata | undefined;
  readonly trailers: grpc.Metadata | undefined;
}

interface Options {
  readonly metadata?: grpc.Metadata;
  readonly deadlineMs?: number;
  readonly client?: grpc.Client;
}

function unary(method: string, request: string, options: Options = {}): Promise<Outcome> {
  const { metadata = new grpc.Metadata(), deadlineMs = 10_000 } = options;
  return new Promise((resolve) => {
    let initial: grpc.Metadata | undefined;
    let outcome: Pick<Outcome, "code" | "details" | "answer"> = { code: 0, details: "", answer: undefined };
    const call = (options.client ?? client).makeUnaryRequest(
      `/test.Chat/${method}`,
      toBytes,
      toText,
      request,
      metadata,
      { deadline: Date.now() + deadlineMs },
      (error, answer) => {
        if (error !== null) outcome = { code: error.code, details: error.details, answer: undefined };
        else outcome = { ...outcome, answer };
      },
    );
    call.on("metadata", (given: grpc.Metadata) => {
      initial = given;
    });
    call.on("status", (status: grpc.StatusObject) =>
      setImmediate(() => resolve({ ...outcome, initial, trailers: status.metadata })),
    );
  });
}

test("an empty and a large message pass", async () => {
  expect(await unary("Echo", "")).toMatchObject({ code: 0, answer: "" });
  const large = "x".repeat(271_828);
  expect((await unary("Echo", large)).answer).toBe(large);
});

test("a client that streams is answered at its end", async () => {
  const answer = await new Promise<string | undefined>((resolve, reject) => {
    const call = client.makeClientStreamRequest(
      "/test.Chat/Collect",
      toBytes,
      toText,
      (error, text?: string) => (error === null ? resolve(text) : reject(error)),
    );
    for (const size of [27_182, 8, 1828, 45_904]) call.write("x".repeat(size));
    call.end();
  });
  expect(answer).toBe("74922");
});

test("a server streams", async () => {
  const received: string[] = [];
  const call = client.makeServerStreamRequest("/test.Chat/Count", toBytes, toText, "500");
  call.on("data", (text: string) => received.push(text));
  await new Promise((resolve, reject) => call.on("end", resolve).on("error", reject));
  expect(received).toEqual(Array.from({ length: 500 }, (_, i) => String(i + 1)));
});

test("both sides talk in turn on one stream, and one without a message ends well", async () => {
  const call = client.makeBidiStreamRequest("/test.Chat/Talk", toBytes, toText);
  const heard: string[] = [];
  const done = new Promise<void>((resolve, reject) => call.on("end", resolve).on("error", reject));
  call.on("data", (text: string) => {
    heard.push(text);
    if (heard.length < 5) call.write(`word ${heard.length}`);
    else call.end();
  });
  call.write("word 0");
  await done;
  expect(heard).toEqual([0, 1, 2, 3, 4].map((i) => `you said word ${i}`));

  const empty = client.makeBidiStreamRequest("/test.Chat/Talk", toBytes, toText);
  empty.on("data", () => undefined);
  const status = new Promise<grpc.StatusObject>((resolve) => empty.on("status", resolve));
  empty.end();
  expect((await status).code).toBe(grpc.status.OK);
});

test("metadata passes both ways, binary too", async () => {
  const metadata = new grpc.Metadata();
  metadata.set("x-echo-initial", "test_initial_metadata_value");
  metadata.set("x-echo-trailing-bin", Buffer.from([0xab, 0xab, 0xab]));
  const { initial, trailers } = await unary("Echo", "a", { metadata });
  expect(initial?.get("x-echo-initial")).toEqual(["test_initial_metadata_value"]);
  expect(trailers?.get("x-echo-trailing-bin")).toEqual([Buffer.from([0xab, 0xab, 0xab])]);
});

test("a status and its message pass, whatever characters it has", async () => {
  const special = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
  expect(await unary("Fail", `2|${special}`)).toMatchObject({ code: 2, details: special });
  expect(await unary("Fail", "9|not now")).toMatchObject({ code: 9, details: "not now" });
});

test("an unknown method is unimplemented", async () => {
  expect((await unary("Nothing", "")).code).toBe(grpc.status.UNIMPLEMENTED);
});

test("a call that its client cancels is cancelled at the server", async () => {
  const before = Number((await unary("Cancelled", "")).answer);
  const begun = client.makeBidiStreamRequest("/test.Chat/Talk", toBytes, toText);
  const heard = new Promise((resolve) => begun.once("data", resolve));
  const status = new Promise<number>((resolve) =>
    begun.on("error", (error: grpc.ServiceError) => resolve(error.code)),
  );
  begun.write("hello");
  await heard;
  begun.cancel();
  expect(await status).toBe(grpc.status.CANCELLED);
  await eventually(async () => Number((await unary("Cancelled", "")).answer) === before + 1);
});

test("a deadline ends a call at the client and at the server", async () => {
  const before = Number((await unary("Cancelled", "")).answer);
  expect((await unary("Sleep", "", { deadlineMs: 200 })).code).toBe(grpc.status.DEADLINE_EXCEEDED);
  await eventually(async () => Number((await unary("Cancelled", "")).answer) === before + 1);
});

test("the sidecar itself answers with a gRPC status that says what to do", async () => {
  const nobody = dial("nobody:8080");
  const { code, details } = await unary("Echo", "", { client: nobody });
  nobody.close();
  expect(code).toBe(grpc.status.UNAVAILABLE);
  expect(details).toContain("nobody");
});

test("metrics name the protocol and the gRPC status", async () => {
  await unary("Fail", "5|nothing here");
  const line = (await caller.metrics())
    .split("\n")
    .find((each) => each.startsWith("istio_requests_total") && each.includes('grpc_response_status="5"'));
  expect(line).toContain('request_protocol="grpc"');
  expect(line).toContain('response_code="200"');
});
