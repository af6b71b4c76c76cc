import { describe, expect, test } from "vitest";
import type { RequestHead } from "./contract.js";
import { createRequestParser } from "./request-parser.js";
import { Recorder, deliveries, feed } from "./testing/record-events.js";

function parse(
  text: string,
  cuts: readonly number[] = [],
): { recorder: Recorder<RequestHead>; code: string } {
  const recorder = new Recorder<RequestHead>();
  const parser = createRequestParser(recorder);
  feed(parser, Buffer.from(text, "latin1"), cuts);
  return { recorder, code: parser.error?.code ?? "" };
}

function headOf(text: string): RequestHead {
  const { recorder, code } = parse(text);
  expect(code).toBe("");
  return recorder.head;
}

const post = (fields: string, body: string): string => `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`;

test("createRequestParser reports a head as received when the request is valid", () => {
  expect(
    headOf(
      "GET /a?b=c HTTP/1.1\r\nHOST: Reviews:9080\r\nX-empty:\r\nx-Padded: \t v w \t\r\nX-B: \xe9\r\nX-B: 2\r\n\r\n",
    ),
  ).toEqual({
    method: "GET",
    target: "/a?b=c",
    minorVersion: 1,
    headers: ["HOST", "Reviews:9080", "X-empty", "", "x-Padded", "v w", "X-B", "\xe9", "X-B", "2"],
    framing: "none",
    contentLength: 0,
    keepAlive: true,
    expectContinue: false,
    upgrade: "",
    host: "Reviews:9080",
  });
});

test.each([
  ["by Content-Length", "Content-Length: 5\r\n", "abcde", "length", 5, []],
  ["with white space around the length", "Content-Length: \t5 \t\r\n", "abcde", "length", 5, []],
  [
    "in chunks",
    "transfer-ENCODING: Chunked\r\n",
    '2\r\nab\r\n003;x="y;\\"";z\r\ncde\r\n0\r\n\r\n',
    "chunked",
    -1,
    [],
  ],
  [
    "in chunks with trailers",
    "Transfer-Encoding: chunked\r\n",
    "5\r\nabcde\r\n00;a\r\nSum: 1\r\n\r\n",
    "chunked",
    -1,
    ["Sum", "1"],
  ],
] as const)(
  "createRequestParser reads a body %s in every delivery",
  (_name, fields, body, framing, length, trailers) => {
    const bytes = Buffer.from(post(fields, body), "latin1");
    for (const [delivery, cuts] of deliveries(bytes)) {
      const { recorder, code } = parse(bytes.toString("latin1"), cuts);
      expect(code, delivery).toBe("");
      expect(recorder.head, delivery).toMatchObject({ framing, contentLength: length });
      expect(recorder.events.slice(1), delivery).toEqual([
        { type: "body", text: "abcde" },
        { type: "end", trailers },
      ]);
    }
  },
);

test("createRequestParser drops trailers that must not act and keeps the others", () => {
  const names = [
    "Content-Length: x",
    "Transfer-Encoding: y",
    "Host: b",
    "Authorization: z",
    "X-Forwarded-For: 1",
  ];
  const { recorder } = parse(
    post("Transfer-Encoding: chunked\r\n", `0\r\n${names.join("\r\n")}\r\nGrpc-Status: 0\r\n\r\n`),
  );
  expect(recorder.events.at(-1)).toEqual({ type: "end", trailers: ["Grpc-Status", "0"] });
});

test("createRequestParser counts trailers towards the limits of the head", () => {
  const head = post("Transfer-Encoding: chunked\r\n", "0\r\n");
  const codeOf = (trailers: string, limits: object): string | undefined => {
    const parser = createRequestParser(new Recorder<RequestHead>(), limits);
    feed(parser, Buffer.from(`${head}${trailers}\r\n`));
    return parser.error?.code;
  };
  expect(codeOf("A: 1\r\nHost: dropped\r\n", { maxHeaderCount: 4 })).toBeUndefined();
  expect(codeOf("A: 1\r\nHost: dropped\r\nC: 3\r\n", { maxHeaderCount: 4 })).toBe("HTTP_TOO_MANY_FIELDS");
  const maxHeadBytes = head.length - 3 + 20;
  expect(codeOf(`A: ${"x".repeat(13)}\r\n`, { maxHeadBytes })).toBeUndefined();
  expect(codeOf(`A: ${"x".repeat(14)}\r\n`, { maxHeadBytes })).toBe("HTTP_HEAD_TOO_LARGE");
});

test("createRequestParser gives the body of a GET to that GET, never to the next request", () => {
  const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const method of ["GET", "HEAD", "OPTIONS", "DELETE"]) {
    const { recorder } = parse(
      `${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}GET /next HTTP/1.1\r\nHost: a\r\n\r\n`,
    );
    expect(recorder.heads.map((head) => head.target)).toEqual(["/", "/next"]);
  }
});

test("createRequestParser reads 1000 pipelined requests of one segment, and stops at the first that is invalid", () => {
  const { recorder, code } = parse(
    `${"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000)}GET / HTTP/1.1\r\n\r\n`,
  );
  expect(recorder.heads).toHaveLength(1000);
  expect(code).toBe("HTTP_HOST_MISSING");
});

test("createRequestParser passes over one empty line between requests", () => {
  const { recorder, code } = parse(`\r\n${post("Content-Length: 1\r\n", "x")}\r\n${post("", "")}`);
  expect(code).toBe("");
  expect(recorder.heads).toHaveLength(2);
});

describe("createRequestParser decides keepAlive", () => {
  test.each([
    ["HTTP/1.1", "", true],
    ["HTTP/1.1", "Connection: close\r\n", false],
    ["HTTP/1.1", "Connection: Keep-Alive, CLOSE\r\n", false],
    ["HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n", false],
    ["HTTP/1.0", "", false],
    ["HTTP/1.0", "Connection: keep-alive\r\n", true],
    ["HTTP/1.0", "Connection: close, keep-alive\r\n", false],
  ])("%s %j → %s", (version, fields, keepAlive) => {
    expect(headOf(`GET / ${version}\r\nHost: a\r\n${fields}\r\n`).keepAlive).toBe(keepAlive);
  });
});

describe("H1-26 createRequestParser sees an upgrade only when all of it is there", () => {
  const upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
  test.each([
    [`GET / HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n`, "websocket"],
    [`GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n`, "SPDY/3.1"],
    [`GET / HTTP/1.0\r\nHost: a\r\n${upgrade}\r\n`, ""],
    [`POST / HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n`, ""],
    [`GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n${upgrade}\r\nx`, ""],
    ["GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", ""],
    ["GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", ""],
    ["GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: TLS/1.0\r\n\r\n", ""],
    ["GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n", ""],
    ["GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: HTTP/2.0\r\n\r\n", ""],
    ["GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n", ""],
  ])("%j → %j", (text, expected) => {
    expect(headOf(text).upgrade).toBe(expected);
  });
});

test("createRequestParser reports expectContinue when a body is announced by an HTTP/1.1 client", () => {
  const expectation = "Expect: 100-Continue\r\n";
  expect(headOf(post(`Content-Length: 5\r\n${expectation}`, "")).expectContinue).toBe(true);
  expect(headOf(post(expectation, "")).expectContinue).toBe(false);
  expect(headOf(`POST / HTTP/1.0\r\nContent-Length: 5\r\n${expectation}\r\n`).expectContinue).toBe(false);
});

test("createRequestParser takes the host from an absolute or authority target before Host", () => {
  expect(headOf("GET http://Evil:81/x HTTP/1.1\r\nHost: good\r\n\r\n").host).toBe("Evil:81");
  expect(headOf("CONNECT db:5432 HTTP/1.1\r\nHost: good\r\n\r\n").host).toBe("db:5432");
  expect(headOf("OPTIONS * HTTP/1.1\r\nHost: good\r\n\r\n").host).toBe("good");
  expect(headOf("GET / HTTP/1.0\r\n\r\n").host).toBe("");
});

test("createRequestParser consumes nothing behind a CONNECT request", () => {
  const recorder = new Recorder<RequestHead>();
  const parser = createRequestParser(recorder);
  const head = "CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n";
  const bytes = Buffer.from(`${head}GET /early HTTP/1.1\r\nHost: a\r\n\r\n`);
  expect(parser.execute(bytes, 0, bytes.length)).toBe(head.length);
  expect(parser.execute(bytes, head.length, bytes.length)).toBe(0);
  expect(recorder.events.map((event) => event.type)).toEqual(["head", "end"]);
  expect(recorder.head.keepAlive).toBe(false);
});

test("pause stops after the event it was called from, and execute without bytes delivers what was held back", () => {
  const recorder = new Recorder<RequestHead>();
  const parser = createRequestParser(recorder);
  recorder.after = () => parser.pause();
  const first = post("Content-Length: 3\r\n", "abc");
  const bytes = Buffer.from(first + post("", ""));
  let at = parser.execute(bytes, 0, bytes.length);
  expect(recorder.events.map((event) => event.type)).toEqual(["head"]);
  at += parser.execute(bytes, at, bytes.length);
  expect([at, recorder.events.at(-1)!.type, parser.idle]).toEqual([first.length, "body", false]);
  expect(parser.execute(bytes, at, at)).toBe(0);
  expect([recorder.events.at(-1)!.type, parser.idle]).toEqual(["end", true]);
  at += parser.execute(bytes, at, bytes.length);
  expect([at, recorder.events.at(-1)!.type]).toEqual([bytes.length, "head"]);
});

test("finish refuses a message that is cut off, and nothing else", () => {
  const whole = post("Content-Length: 1\r\n", "x");
  for (let cut = 0; cut <= whole.length; cut++) {
    const parser = createRequestParser(new Recorder<RequestHead>());
    feed(parser, Buffer.from(whole.slice(0, cut)));
    parser.finish();
    const complete = cut === 0 || cut === whole.length;
    expect(parser.error?.code).toBe(complete ? undefined : "HTTP_INCOMPLETE");
    expect(parser.idle).toBe(complete);
  }
});

test("createRequestParser accepts a head of exactly the limit and refuses one byte more", () => {
  const head = (length: number): string => {
    const shell = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
    return shell.replace("X: ", `X: ${"x".repeat(length - shell.length)}`);
  };
  for (const cuts of [[], [100], [499, 500]]) {
    expect(limited(head(500), cuts)).toBeUndefined();
    expect(limited(head(501), cuts)).toBe("HTTP_HEAD_TOO_LARGE");
  }
  function limited(text: string, cuts: number[]): string | undefined {
    const parser = createRequestParser(new Recorder<RequestHead>(), { maxHeadBytes: 500 });
    feed(parser, Buffer.from(text), cuts);
    return parser.error?.code;
  }
});
