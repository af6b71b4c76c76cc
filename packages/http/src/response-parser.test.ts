import { describe, expect, test } from "vitest";
import type { ResponseHead } from "./contract.js";
import { createResponseParser } from "./response-parser.js";
import { Recorder, deliveries, feed } from "./testing/record-events.js";

interface Parsed {
  readonly recorder: Recorder<ResponseHead>;
  readonly code: string;
  readonly status: number;
}

function parse(text: string, method = "GET", cuts: readonly number[] = [], finish = false): Parsed {
  const recorder = new Recorder<ResponseHead>();
  const parser = createResponseParser(recorder);
  parser.expect(method);
  feed(parser, Buffer.from(text, "latin1"), cuts);
  if (finish) parser.finish();
  return { recorder, code: parser.error?.code ?? "", status: parser.error?.status ?? 0 };
}

const ok = (fields: string, body = ""): string => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`;
const CHUNKED = "Transfer-Encoding: chunked\r\n";

describe("createResponseParser frames", () => {
  test.each([
    ["by Content-Length", "GET", ok("Content-Length: 3\r\n", "abc"), "length", 3, "abc"],
    ["in chunks", "GET", ok(CHUNKED, "3\r\nabc\r\n0\r\n\r\n"), "chunked", -1, "abc"],
    ["HEAD without body", "HEAD", ok("Content-Length: 3\r\n"), "none", 0, ""],
    ["HEAD without chunks", "HEAD", ok(CHUNKED), "none", 0, ""],
    ["204 without body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", "none", 0, ""],
    ["304 without body", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", "none", 0, ""],
    [
      "a refused CONNECT with its body",
      "CONNECT",
      "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno",
      "length",
      2,
      "no",
    ],
  ] as const)("%s", (_name, method, text, framing, length, body) => {
    for (const [delivery, cuts] of deliveries(Buffer.from(text))) {
      const { recorder, code } = parse(text, method, cuts);
      expect(code, delivery).toBe("");
      expect(recorder.head, delivery).toMatchObject({ framing, contentLength: length, keepAlive: true });
      const tail = body === "" ? [] : [{ type: "body", text: body }];
      expect(recorder.events.slice(1), delivery).toEqual([...tail, { type: "end", trailers: [] }]);
    }
  });

  test("a body without length until the peer closes", () => {
    const { recorder, code } = parse(ok("", "abc"), "GET", [], true);
    expect(code).toBe("");
    expect(recorder.head).toMatchObject({ framing: "until-close", contentLength: -1, keepAlive: false });
    expect(recorder.events.slice(1)).toEqual([
      { type: "body", text: "abc" },
      { type: "end", trailers: [] },
    ]);
  });
});

test("createResponseParser accepts a status line without reason, with and without the space", () => {
  expect(parse("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n").recorder.head).toMatchObject({
    status: 200,
    reason: "",
  });
  expect(parse("HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n").recorder.head).toMatchObject({
    status: 404,
    reason: "",
  });
  expect(parse("HTTP/1.0 299 \xe9 b\r\n\r\n").recorder.head).toMatchObject({
    reason: "\xe9 b",
    minorVersion: 0,
  });
});

describe("H1-27 createResponseParser refuses with 502", () => {
  test.each([
    ["two Content-Length", ok("Content-Length: 1\r\nContent-Length: 1\r\n", "x")],
    ["CL and TE", ok(`Content-Length: 3\r\n${CHUNKED}`, "0\r\n\r\n")],
    ["CL and TE on HEAD's answer", ok(`Content-Length: 3\r\n${CHUNKED}`), "HEAD"],
    ["unknown coding", ok("Transfer-Encoding: gzip, chunked\r\n")],
    ["TE in HTTP/1.0", `HTTP/1.0 200 OK\r\n${CHUNKED}\r\n0\r\n\r\n`],
    ["status 999", "HTTP/1.1 999 X\r\n\r\n"],
    ["status 600", "HTTP/1.1 600 X\r\n\r\n"],
    ["status 099", "HTTP/1.1 099 X\r\n\r\n"],
    ["status of four digits", "HTTP/1.1 2000 X\r\n\r\n"],
    ["status of two digits", "HTTP/1.1 20 X\r\n\r\n"],
    ["status with a letter", "HTTP/1.1 20x X\r\n\r\n"],
    ["no status", "HTTP/1.1\r\n\r\n"],
    ["version", "HTTP/2.0 200 OK\r\n\r\n"],
    ["other protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
    ["control character in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n"],
    ["bare LF", "HTTP/1.1 200 OK\nX: y\n\n"],
    ["folded field", ok("A: b\r\n c\r\n")],
    ["leading empty line", `\r\n${ok("Content-Length: 0\r\n")}`],
    ["body behind 204", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nHTTP/"],
    ["bytes behind the body", ok("Content-Length: 3\r\n", "abcHTTP/1.1 200 OK\r\n\r\n")],
    ["head too large", ok(`X: ${"x".repeat(61_440)}\r\n`)],
    ["status line too long", `HTTP/1.1 200 ${"x".repeat(61_440)}\r\n\r\n`],
  ])("%s", (_name, text, method = "GET") => {
    for (const [delivery, cuts] of deliveries(Buffer.from(text, "latin1"))) {
      expect(parse(text, method, cuts).status, delivery).toBe(502);
    }
  });
});

test("createResponseParser passes interim responses on and refuses more than the limit", () => {
  const interim = "HTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\nLink: </a>\r\n\r\n";
  const accepted = parse(interim.repeat(5) + ok("Content-Length: 0\r\n"));
  expect(accepted.code).toBe("");
  expect(accepted.recorder.heads.map((head) => head.status)).toEqual([103, 103, 103, 103, 103, 200]);
  expect(accepted.recorder.events.filter((event) => event.type === "end")).toHaveLength(1);
  expect(parse(interim.repeat(6)).code).toBe("HTTP_TOO_MANY_INTERIM");
});

test("createResponseParser counts interim responses anew for each request", () => {
  const parser = createResponseParser(new Recorder<ResponseHead>());
  const bytes = Buffer.from("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(4) + ok("Content-Length: 0\r\n"));
  for (let i = 0; i < 3; i++) {
    parser.expect("GET");
    expect(parser.execute(bytes, 0, bytes.length)).toBe(bytes.length);
  }
  expect(parser.error).toBeUndefined();
});

test.each([
  ["101", "GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"],
  ["2xx to CONNECT", "CONNECT", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
])("createResponseParser consumes nothing behind %s", (_name, method, head) => {
  const recorder = new Recorder<ResponseHead>();
  const parser = createResponseParser(recorder);
  parser.expect(method);
  const bytes = Buffer.from(`${head}tunnelled`);
  expect(parser.execute(bytes, 0, bytes.length)).toBe(head.length);
  expect(parser.execute(bytes, head.length, bytes.length)).toBe(0);
  expect(recorder.events.map((event) => event.type)).toEqual(["head", "end"]);
  parser.finish();
  expect(parser.error).toBeUndefined();
});

test("createResponseParser reuses a connection for responses in turn and refuses what nobody asked for", () => {
  const recorder = new Recorder<ResponseHead>();
  const parser = createResponseParser(recorder);
  const answer = Buffer.from(ok("Content-Length: 1\r\n", "x"));
  for (let i = 0; i < 3; i++) {
    parser.expect("GET");
    expect(parser.execute(answer, 0, answer.length)).toBe(answer.length);
    expect(parser.idle).toBe(true);
  }
  expect(parser.execute(answer, 0, answer.length)).toBe(0);
  expect(parser.error?.code).toBe("HTTP_UNEXPECTED_RESPONSE");
});

test("expect throws when the last response is still awaited", () => {
  const parser = createResponseParser(new Recorder<ResponseHead>());
  parser.expect("GET");
  expect(() => parser.expect("GET")).toThrow(
    expect.objectContaining({ code: "HTTP_RESPONSE_STILL_EXPECTED" }),
  );
});

test("a response to a request that was taken back is refused, and the next request's method counts", () => {
  const parser = createResponseParser(new Recorder<ResponseHead>());
  parser.expect("HEAD");
  parser.expect("");
  const answer = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
  parser.expect("GET");
  expect(parser.execute(answer, 0, answer.length)).toBe(answer.length);
  const silent = createResponseParser(new Recorder<ResponseHead>());
  silent.expect("GET");
  silent.expect("");
  silent.execute(answer, 0, answer.length);
  expect(silent.error?.code).toBe("HTTP_UNEXPECTED_RESPONSE");
});

test.each([
  ["HTTP/1.1", "Connection: close\r\n", false],
  ["HTTP/1.0", "", false],
  ["HTTP/1.0", "Connection: keep-alive\r\n", true],
])("createResponseParser decides keepAlive of %s %j", (version, fields, keepAlive) => {
  const { recorder } = parse(`${version} 200 OK\r\nContent-Length: 0\r\n${fields}\r\n`);
  expect(recorder.head.keepAlive).toBe(keepAlive);
});
