import { connect, type Socket } from "node:net";

import { eventually } from "@tulle/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import {
  clientStart,
  data,
  END_HEADERS,
  END_STREAM,
  get,
  headers,
  literals,
  many,
  parseFrames,
  ping,
  post,
  rst,
  type SentFrame,
} from "../../../http/src/testing/http2-frames.js";
import { REFUSED_CONNECTIONS } from "../../../http/src/testing/refused-connections.js";
import { REFUSED_STREAMS } from "../../../http/src/testing/refused-streams.js";
import { call, closeAll, createProxy, rawBackend } from "../../test/harness.js";
import { recordingBackend, type RecordingBackend } from "../../test/recording-backend.js";
import { serviceAt } from "../../test/resources.js";

// Every class of hostile HTTP/2, by its exact frames and through a real proxy to an application that speaks HTTP/1.1: what
// is refused reaches it as no request, and the next client is served.

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const GOAWAY = 7;
/** Longer input is not also sent a byte at a time: that is the session's own test. */
const MAX_BYTEWISE = 600;

let port: number;
let app: RecordingBackend;

beforeEach(async () => {
  app = await recordingBackend();
  const proxy = createProxy();
  proxy.apply(...serviceAt("reviews:9080", [app.port]));
  port = await proxy.listen("reviews:9080");
});
afterEach(closeAll);

/** A client's connection, and what came back on it. */
class Client {
  readonly socket: Socket = connect({ port, host: "127.0.0.1", noDelay: true });
  #received = Buffer.alloc(0);
  closed = false;

  constructor() {
    this.socket.on("data", (chunk: Buffer) => (this.#received = Buffer.concat([this.#received, chunk])));
    this.socket.on("error", () => undefined);
    this.socket.on("close", () => (this.closed = true));
  }

  frames(): SentFrame[] {
    return parseFrames(this.#received);
  }

  async send(bytes: Buffer, cuts: readonly number[]): Promise<void> {
    let from = 0;
    for (const to of [...cuts, bytes.length]) {
      if (this.closed || !this.socket.writable) return;
      await new Promise<void>((resolve) => this.socket.write(bytes.subarray(from, to), () => resolve()));
      from = to;
    }
  }
}

function deliveriesOf(bytes: Buffer): [delivery: string, cuts: number[]][] {
  const whole: [string, number[]] = ["whole", []];
  if (bytes.length > MAX_BYTEWISE) return [whole];
  return [whole, ["a byte a segment", Array.from({ length: bytes.length - 1 }, (_, i) => i + 1)]];
}

// Limits that depend on options of the session, and on a peer that reads nothing, are the session's own tests; a port
// that takes HTTP/1.1 as well answers what is no preface in HTTP/1.1.
const connections = REFUSED_CONNECTIONS.filter(
  ([name, , , options]) =>
    options === undefined &&
    !/^H2-(01|02 resets|06 PING not read|07)|^H2-17 HTTP\/1.1|^H2-10|beyond the connection's window/.test(
      name,
    ),
);

describe.each(connections)("%s", (_name, bytes, [, code]) => {
  test.each(deliveriesOf(bytes))("a proxy ends the connection when it comes %s", async (_delivery, cuts) => {
    const client = new Client();
    await client.send(bytes, cuts);
    await eventually(() => client.closed);
    const goAway = client.frames().find(({ type }) => type === GOAWAY);
    // A client that is still sending when its connection ends may lose the reason to TCP's reset.
    if (goAway !== undefined || bytes.length < 16_384) expect(goAway?.payload.readUInt32BE(4)).toBe(code);
    expect((await call(port, "/honest")).body).toBe("ok");
  });
});

// Windows towards the application beside us are larger than the session's own.
const streams = REFUSED_STREAMS.filter(([name]) => !name.includes("beyond the stream's window"));

describe.each(streams)("%s", (name, bytes, _refusal, code = 1) => {
  const whole = clientStart(bytes);
  test.each(deliveriesOf(whole))("a proxy resets the stream when it comes %s", async (_delivery, cuts) => {
    const client = new Client();
    await client.send(whole, cuts);
    const reset = (): SentFrame | undefined => client.frames().find(({ type }) => type === RST_STREAM);
    await eventually(() => reset() !== undefined);
    expect(reset()!.streamId).toBe(1);
    expect(reset()!.payload.readUInt32BE(0)).toBe(code);
    client.socket.write(ping("alive..."));
    await eventually(() => client.frames().some(({ payload }) => payload.toString() === "alive..."));
    client.socket.destroy();
    expect((await call(port, "/honest")).body).toBe("ok");
    // The refused request may have begun there; it never came to an end, and nothing was added to it.
    expect(
      app.requests().map(({ head }) => head.target),
      name,
    ).toEqual(["/honest"]);
  });
});

/** Texts that mean something to HTTP/1.1, put wherever a field goes. */
const INJECTIONS: readonly string[] = [
  "\r\n",
  "a\r\nTransfer-Encoding: chunked",
  "a\nTransfer-Encoding: chunked",
  "a\rTransfer-Encoding: chunked",
  "a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
  "a\n\nGET /smuggled HTTP/1.1\n\n",
  "a\0b",
  "a b",
  " a",
  "a\t",
  "a\x0bb",
  "a\x0cb",
  "a\x7fb",
  "a\x01b",
  "a:b",
  "a\u0080b",
  "a\u0085b",
  "\u00ff",
  "a\u2028b",
  "a%0d%0ab",
];

/** Where in a request, and what a strict server must still see of it. */
const PLACES: readonly (readonly [place: string, request: (text: string) => Buffer])[] = [
  ["D-01 the value of a field", (text) => get("x-a", text)],
  ["D-02 the name of a field", (text) => get(text, "x")],
  ["D-03 :path", (text) => changed(":path", `/${text}`)],
  ["D-04 :method", (text) => changed(":method", `GET${text}`)],
  ["D-05 :scheme", (text) => changed(":scheme", `http${text}`)],
  ["D-06 :authority", (text) => changed(":authority", `a${text}`)],
  ["D-06 host", (text) => literals(":method", "GET", ":scheme", "http", ":path", "/", "host", text)],
  ["D-08 transfer-encoding", (text) => get("transfer-encoding", text)],
  ["D-09 content-length", (text) => post("content-length", `3${text}`)],
  ["D-10 a cookie", (text) => get("cookie", text, "cookie", "b=c")],
  ["D-11 connection", (text) => get("connection", text)],
  [
    "D-13 :protocol",
    (text) =>
      literals(":protocol", text, ":method", "CONNECT", ":scheme", "http", ":path", "/", ":authority", "a"),
  ],
];

describe.each(PLACES)("%s", (place, request) => {
  test.each(INJECTIONS.map((text) => [JSON.stringify(text), text] as const))(
    "an HTTP/1.1 application behind a proxy sees one request or none when it is %s",
    async (_label, text) => {
      const block = request(text);
      const withBody = block.includes("POST");
      const client = new Client();
      await client.send(
        clientStart(
          headers(1, block, withBody ? END_HEADERS : END_HEADERS | END_STREAM),
          ...(withBody ? [data(1, "abc", END_STREAM)] : []),
        ),
        [],
      );
      await eventually(() => client.frames().some(({ streamId, type }) => streamId === 1 && type !== 8));
      expect((await call(port, "/honest")).body).toBe("ok");
      client.socket.destroy();
      const served = app.requests().filter(({ head }) => head.target !== "/honest");
      expect(served.length, place).toBeLessThanOrEqual(1);
      for (const { head, body } of served) expectUninjected(head.headers, head.target, body, text);
    },
  );
});

test("H2-01 streams that are reset at once cost the application no connection, and it hears nothing of them", async () => {
  expect((await call(port, "/warm")).body).toBe("ok");
  const client = new Client();
  const pairs = many(20, (i) => Buffer.concat([headers(2 * i + 1, get()), rst(2 * i + 1)]));
  await client.send(clientStart(pairs, headers(41, get()), ping("alive...")), []);
  await eventually(() => client.frames().some(({ type, streamId }) => type === HEADERS && streamId === 41));
  expect(app.received()).toHaveLength(1);
  expect(app.requests()).toHaveLength(2);
  client.socket.destroy();
});

test.each([
  ["more than its content-length", data(1, "abcdef")],
  ["less than its content-length", data(1, "ab", END_STREAM)],
  ["pseudo fields in its trailers", headers(1, literals(":path", "/"))],
])("D-07 D-12 an answered request that goes on with %s is refused for it", async (_name, rest) => {
  const early = await rawBackend((socket) => {
    socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  });
  const proxy = createProxy();
  proxy.apply(...serviceAt("early:9080", [early.port]));
  port = await proxy.listen("early:9080");
  const client = new Client();
  await client.send(clientStart(headers(1, post("content-length", "5"), END_HEADERS)), []);
  const ended = (): boolean =>
    client.frames().some(({ type, flags }) => type === DATA && (flags & END_STREAM) !== 0);
  await eventually(ended);
  await client.send(rest, []);
  await eventually(() => client.frames().some(({ type }) => type === RST_STREAM));
  const reset = client.frames().find(({ type }) => type === RST_STREAM);
  expect(reset!.payload.readUInt32BE(0)).toBe(1);
  client.socket.destroy();
});

test("D-12 a trailer section adds nothing to an HTTP/1.1 request but its harmless fields", async () => {
  const client = new Client();
  const fields = ["authorization", "x", "transfer-encoding2", "y", "x-sum", "1"];
  await client.send(
    clientStart(headers(1, post(), END_HEADERS), data(1, "abc"), headers(1, literals(...fields))),
    [],
  );
  await eventually(() => app.requests().length === 1);
  const [request] = app.requests();
  expect(request!.body).toBe("abc");
  expect(request!.trailers.join()).toBe("transfer-encoding2,y,x-sum,1");
  client.socket.destroy();
});

/** A request that passed is the one that was sent, by the grammar of HTTP/1.1 and nothing else. */
function expectUninjected(fields: readonly string[], target: string, body: string, text: string): void {
  expect(target).toMatch(/^\/[\x21-\x7e]*$/);
  expect(["", "abc"]).toContain(body);
  for (let i = 0; i < fields.length; i += 2) {
    expect(fields[i]).toMatch(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/);
    expect(fields[i + 1]).toMatch(
      /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/,
    );
    if (fields[i]!.toLowerCase() === "transfer-encoding") expect(fields[i + 1]).toBe("chunked");
  }
  expect(text).not.toMatch(/[\r\n\0]/);
}

function changed(name: string, value: string): Buffer {
  const pseudo = new Map([
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "a"],
  ]).set(name, value);
  return headersBlock(pseudo);
}

function headersBlock(fields: ReadonlyMap<string, string>): Buffer {
  return literals(...[...fields].flat());
}
