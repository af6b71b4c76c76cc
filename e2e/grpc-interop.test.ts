import { spawn, type ChildProcess } from "node:child_process";
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from "node:http2";

import * as grpc from "@grpc/grpc-js";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { freePort } from "../packages/cli/src/launcher/free-port.js";
import { CHAT, Mesh } from "./support/mesh.js";
import { clusterOf, urlOf, type Workload } from "./support/workload.js";

// gRPC applications that nobody changed, with @grpc/grpc-js on both ends and two sidecars between. The cases, by name,
// are those of gRPC's interoperability tests (https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md).

const toBytes = (text: string): Buffer => Buffer.from(text);
const toText = (bytes: Buffer): string => bytes.toString();
const SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";

let mesh: Mesh;
let chat: Workload;
let caller: Workload;
/** Dials the upstream as an application of the mesh is told to: `localhost` and the port of `--upstream`. */
let client: grpc.Client;
let clientPort: number;

beforeAll(async () => {
  mesh = await Mesh.start();
  clientPort = await freePort();
  const upstreams = [
    `message-service=${clientPort}`,
    "mortal:8080",
    "dead:8080",
    "empty:8080",
    "nobody:8080",
  ];
  await mesh.client.registry.register({
    ID: "dead",
    Name: "dead",
    Address: "127.0.0.1",
    Port: await freePort(),
    Meta: { "tulle-service-port": "8080", "tulle-protocol": "grpc" },
  });
  await mesh.client.registry.register({
    ID: "empty",
    Name: "empty",
    Address: "127.0.0.1",
    Port: await freePort(),
    Check: { CheckID: "empty", TTL: "10m", Status: "critical" },
    Meta: { "tulle-service-port": "8080", "tulle-protocol": "grpc" },
  });
  [chat, caller] = await Promise.all([
    mesh.run({ service: "message-service", args: ["--protocol", "grpc"], command: CHAT, healthPath: "" }),
    mesh.sidecar({ service: "caller", args: upstreams.flatMap((each) => ["--upstream", each]) }),
  ]);
  client = dial(`localhost:${clientPort}`);
  // Until its sidecar has been told of the service, callers are rightly told that there is none.
  await eventually(async () => (await unary("Echo", "")).code === 0);
}, 60_000);

afterAll(async () => {
  client?.close();
  await mesh?.end();
});

function dial(target: string): grpc.Client {
  return new grpc.Client(target, grpc.credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
  });
}

const upstream = (name: string): string => caller.upstream(name).replace("http://", "");

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
  readonly service?: string;
}

const options = ({ deadlineMs = 10_000 }: Options): grpc.CallOptions => ({
  deadline: Date.now() + deadlineMs,
});

function unary(method: string, request: string, given: Options = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    let initial: grpc.Metadata | undefined;
    let outcome: Pick<Outcome, "code" | "details" | "answer"> = { code: 0, details: "", answer: undefined };
    const call = (given.client ?? client).makeUnaryRequest(
      `/${given.service ?? "test.Chat"}/${method}`,
      toBytes,
      toText,
      request,
      given.metadata ?? new grpc.Metadata(),
      options(given),
      (error, answer) => {
        if (error !== null) outcome = { code: error.code, details: error.details, answer: undefined };
        else outcome = { ...outcome, answer };
      },
    );
    call.on("metadata", (metadata: grpc.Metadata) => {
      initial = metadata;
    });
    call.on("status", (status: grpc.StatusObject) =>
      setImmediate(() => resolve({ ...outcome, initial, trailers: status.metadata })),
    );
  });
}

interface Talk {
  readonly call: grpc.ClientDuplexStream<string, string>;
  readonly heard: string[];
  readonly status: Promise<grpc.StatusObject>;
}

function talk(given: Options = {}): Talk {
  const metadata = given.metadata ?? new grpc.Metadata();
  const call = (given.client ?? client).makeBidiStreamRequest(
    "/test.Chat/Talk",
    toBytes,
    toText,
    metadata,
    options(given),
  );
  const heard: string[] = [];
  call.on("data", (text: string) => heard.push(text));
  // A status follows.
  call.on("error", () => undefined);
  const status = new Promise<grpc.StatusObject>((resolve) => call.on("status", resolve));
  return { call, heard, status };
}

async function cancelledCalls(): Promise<number> {
  return Number((await unary("Cancelled", "")).answer);
}

describe("interoperability", () => {
  test("empty_unary", async () => {
    expect(await unary("Echo", "")).toMatchObject({ code: 0, answer: "" });
  });

  test("large_unary", async () => {
    const large = "x".repeat(314_159);
    expect((await unary("Echo", large)).answer).toBe(large);
  });

  test("client_streaming", async () => {
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

  test.each([
    ["server_streaming", [31_415, 9, 2653, 58_979]],
    ["server_streaming of many messages, in order", Array.from({ length: 500 }, (_, i) => i)],
  ])("%s", async (_name, sizes) => {
    const received: number[] = [];
    const call = client.makeServerStreamRequest("/test.Chat/Send", toBytes, toText, sizes.join(","));
    call.on("data", (text: string) => received.push(text.length));
    await new Promise((resolve, reject) => call.on("end", resolve).on("error", reject));
    expect(received).toEqual(sizes);
  });

  test("ping_pong", async () => {
    const { call, heard, status } = talk();
    call.on("data", () => {
      if (heard.length < 5) call.write(`word ${heard.length}`);
      else call.end();
    });
    call.write("word 0");
    expect((await status).code).toBe(grpc.status.OK);
    expect(heard).toEqual([0, 1, 2, 3, 4].map((i) => `you said word ${i}`));
  });

  test("empty_stream", async () => {
    const { call, heard, status } = talk();
    call.end();
    expect((await status).code).toBe(grpc.status.OK);
    expect(heard).toEqual([]);
  });

  test("cancel_after_begin", async () => {
    const before = await cancelledCalls();
    const code = new Promise<number>((resolve) => {
      const call = client.makeClientStreamRequest("/test.Chat/Collect", toBytes, toText, (error) =>
        resolve(error?.code ?? 0),
      );
      call.write("x");
      setTimeout(() => call.cancel(), 50);
    });
    expect(await code).toBe(grpc.status.CANCELLED);
    await eventually(async () => (await cancelledCalls()) === before + 1);
  });

  test("cancel_after_first_response", async () => {
    const before = await cancelledCalls();
    const { call, heard, status } = talk();
    call.write("hello");
    await eventually(() => heard.length === 1);
    call.cancel();
    expect((await status).code).toBe(grpc.status.CANCELLED);
    await eventually(async () => (await cancelledCalls()) === before + 1);
  });

  test("timeout_on_sleeping_server", async () => {
    const before = await cancelledCalls();
    const { call, status } = talk({ deadlineMs: 200 });
    call.write("hush");
    expect((await status).code).toBe(grpc.status.DEADLINE_EXCEEDED);
    await eventually(async () => (await cancelledCalls()) === before + 1);
  });

  test("custom_metadata", async () => {
    const metadata = new grpc.Metadata();
    metadata.set("x-echo-initial", "test_initial_metadata_value");
    metadata.set("x-echo-trailing-bin", Buffer.from([0xab, 0xab, 0xab]));
    const { initial, trailers } = await unary("Echo", "a", { metadata });
    expect(initial?.get("x-echo-initial")).toEqual(["test_initial_metadata_value"]);
    expect(trailers?.get("x-echo-trailing-bin")).toEqual([Buffer.from([0xab, 0xab, 0xab])]);

    const { call, status } = talk({ metadata });
    const begun = new Promise<grpc.Metadata>((resolve) => call.on("metadata", resolve));
    call.end();
    expect((await begun).get("x-echo-initial")).toEqual(["test_initial_metadata_value"]);
    expect((await status).metadata.get("x-echo-trailing-bin")).toEqual([Buffer.from([0xab, 0xab, 0xab])]);
  });

  test("status_code_and_message", async () => {
    expect(await unary("Fail", "2|test status message")).toMatchObject({
      code: 2,
      details: "test status message",
    });
    const { call, status } = talk();
    call.write("fail 2|test status message");
    expect(await status).toMatchObject({ code: 2, details: "test status message" });
  });

  test("special_status_message", async () => {
    expect(await unary("Fail", `2|${SPECIAL}`)).toMatchObject({ code: 2, details: SPECIAL });
  });

  test("unimplemented_method", async () => {
    expect((await unary("Nothing", "")).code).toBe(grpc.status.UNIMPLEMENTED);
  });

  test("unimplemented_service", async () => {
    expect((await unary("Echo", "", { service: "test.Nothing" })).code).toBe(grpc.status.UNIMPLEMENTED);
  });
});

// A client that leaves all to the proxy: it ends no call by itself, and shows HTTP as it came.

interface RawAnswer {
  readonly headers: IncomingHttpHeaders & { readonly ":status"?: number | undefined };
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly resetCode: number;
}

function raw(url: string, path: string, headers: Record<string, string>, body: Buffer): Promise<RawAnswer> {
  const session: ClientHttp2Session = connect(url);
  session.on("error", () => undefined);
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  let answered: RawAnswer["headers"] = {};
  let trailers: IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  stream.on("response", (given) => (answered = given));
  stream.on("trailers", (given) => (trailers = given));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => undefined);
  stream.write(body);
  return new Promise((resolve) =>
    stream.on("close", () => {
      session.destroy();
      resolve({ headers: answered, trailers, body: Buffer.concat(chunks), resetCode: stream.rstCode });
    }),
  );
}

function message(text: string): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(Buffer.byteLength(text), 1);
  return Buffer.concat([prefix, Buffer.from(text)]);
}

describe("what the sidecar says itself", () => {
  test.each([
    ["nobody:8080", grpc.status.UNAVAILABLE, "nobody"],
    ["empty:8080", grpc.status.UNAVAILABLE, "no healthy instance"],
    ["dead:8080", grpc.status.UNAVAILABLE, "ECONNREFUSED"],
  ])("to a call of %s is status %i and what to do, and never a body", async (name, code, text) => {
    const unreachable = dial(upstream(name));
    const { code: given, details } = await unary("Echo", "", { client: unreachable });
    unreachable.close();
    expect(given).toBe(code);
    expect(details).toContain(text);

    const answer = await raw(caller.upstream(name), "/test.Chat/Echo", {}, message("a"));
    expect(answer.headers).toMatchObject({ ":status": 200, "content-type": "application/grpc" });
    expect(answer.headers["grpc-status"]).toBe(String(code));
    expect(answer.body).toHaveLength(0);
  });

  test("by Host, of a service that is none, is UNAVAILABLE", async () => {
    const { outbound } = caller.ready.addresses;
    const answer = await raw(urlOf(outbound), "/test.Chat/Echo", { ":authority": "no-such:1" }, message("a"));
    expect(answer.headers["grpc-status"]).toBe(String(grpc.status.UNAVAILABLE));
    expect(answer.body).toHaveLength(0);
  });

  test("where no route matches is UNIMPLEMENTED", async () => {
    await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: mortal}
spec:
  hosts: [mortal]
  http:
  - match: [{uri: {prefix: /test.Chat/}}]
    route: [{destination: {host: mortal}}]
`);
    const mortal = dial(upstream("mortal:8080"));
    await withApplication("mortal", async () => {
      await eventually(async () => (await unary("Echo", "a", { client: mortal })).code === 0);
      await eventually(async () => {
        const { code } = await unary("Echo", "", { client: mortal, service: "test.Else" });
        expect(code).toBe(grpc.status.UNIMPLEMENTED);
        return true;
      });
    });
    mortal.close();
  });

  test("at the end of a deadline is DEADLINE_EXCEEDED, before and after the first message", async () => {
    const url = `http://localhost:${clientPort}`;
    const silent = await raw(url, "/test.Chat/Sleep", { "grpc-timeout": "200m" }, message("a"));
    expect(silent.headers["grpc-status"]).toBe("4");
    expect(silent.body).toHaveLength(0);

    const begun = await raw(url, "/test.Chat/Talk", { "grpc-timeout": "300m" }, message("a"));
    expect(begun.headers["grpc-status"]).toBeUndefined();
    expect(begun.body).toEqual(message("you said a"));
    expect(begun.trailers["grpc-status"]).toBe("4");
  });

  test("when the server dies in the middle of a call is UNAVAILABLE", async () => {
    const mortal = dial(upstream("mortal:8080"));
    await withApplication("mortal", async (application) => {
      await eventually(async () => (await unary("Echo", "a", { client: mortal })).code === 0);
      const { call, heard, status } = talk({ client: mortal });
      call.write("hello");
      await eventually(() => heard.length === 1);
      application.kill("SIGKILL");
      const { code, details } = await status;
      expect(code).toBe(grpc.status.UNAVAILABLE);
      expect(details).toContain("mortal");
    });
    mortal.close();
  });
});

/** Runs the application beside a sidecar of its own that outlives it. */
async function withApplication(
  service: string,
  during: (application: ChildProcess) => Promise<void>,
): Promise<void> {
  const port = await freePort();
  const args = ["--port", String(port), "--service-port", "8080", "--protocol", "grpc"];
  const [program = "", ...words] = CHAT;
  const application = spawn(program, words, {
    env: { ...process.env, PORT: String(port) },
    stdio: "ignore",
  });
  application.on("error", () => undefined);
  const sidecar = await mesh.sidecar({ service, name: `${service}-${port}`, args });
  try {
    await caller.knows(clusterOf(service), 1);
    await during(application);
  } finally {
    application.kill("SIGKILL");
    await sidecar.process.stop();
  }
}

describe("metrics", () => {
  const sum = (text: string, name: string, ...labels: readonly string[]): number =>
    text
      .split("\n")
      .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
      .reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);

  test("name the protocol and the gRPC status, on both sides", async () => {
    await unary("Fail", "5|nothing here");
    for (const workload of [caller, chat]) {
      const labels = ['grpc_response_status="5"', 'request_protocol="grpc"', 'response_code="200"'];
      await eventually(async () => sum(await workload.metrics(), "istio_requests_total", ...labels) > 0);
    }
  });

  test("count the messages of calls, both ways", async () => {
    const counts = async (workload: Workload): Promise<readonly number[]> => {
      const text = await workload.metrics();
      return ["istio_request_messages_total", "istio_response_messages_total"].map((name) =>
        sum(text, name, 'destination_service_name="message-service"'),
      );
    };
    const before = [await counts(caller), await counts(chat)];
    const { call, heard, status } = talk();
    for (const text of ["hush", "a", "x".repeat(100_000), "hush"]) call.write(text);
    await eventually(() => heard.length === 2);
    call.end();
    await status;
    await eventually(async () => {
      const after = [await counts(caller), await counts(chat)];
      expect(after).toEqual(before.map(([requests = 0, responses = 0]) => [requests + 4, responses + 2]));
      return true;
    });
  });
});
