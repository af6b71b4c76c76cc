import { gzipSync } from "node:zlib";

import { eventually } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { deliveries } from "../../../http/src/testing/record-events.js";
import { closeAll, createProxy, exchangeBytes } from "../../test/harness.js";
import { sendInPieces } from "../../test/pieces.js";
import { recordingBackend, type RecordingBackend, type ServedRequest } from "../../test/recording-backend.js";
import { serviceAt } from "../../test/resources.js";

// What a proxy lets pass it sends on in canonical form: one reading, whatever the next server's parser is like.

let port: number;
let app: RecordingBackend;

beforeEach(async () => {
  app = await recordingBackend();
  const proxy = createProxy();
  proxy.apply(...serviceAt("reviews:9080", [app.port]));
  port = await proxy.listen("reviews:9080");
});
afterEach(closeAll);

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
const sized = (method: string, fields = ""): string =>
  `${method} /x HTTP/1.1\r\nHost: a\r\n${fields}Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`;
const chunked = (method: string, fields = "", trailers = ""): string =>
  `${method} /x HTTP/1.1\r\nHost: a\r\n${fields}Transfer-Encoding: chunked\r\n\r\n${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n${trailers}\r\n`;

/** Requests whose body looks like another request: the server must get each as a body. */
const BODIES: readonly (readonly [name: string, bytes: string])[] = [
  ...["GET", "HEAD", "OPTIONS", "DELETE", "POST", "X-UNKNOWN"].flatMap((method) => [
    [`H1-06 ${method} with Content-Length`, sized(method)] as const,
    [`H1-06 ${method} with chunks`, chunked(method)] as const,
  ]),
  [
    "H1-05 Content-Length with white space around",
    sized("POST").replace("Length: ", "Length: \t ").replace("\r\n\r\nGET", "\t \r\n\r\nGET"),
  ],
  ["H1-08 Expect: 100-continue with the body at once", sized("POST", "Expect: 100-continue\r\n")],
  [
    "H1-13 trailers that must not act",
    chunked(
      "POST",
      "",
      "Content-Length: 1\r\nTransfer-Encoding: x\r\nHost: evil\r\nAuthorization: x\r\nX-Sum: 1\r\n",
    ),
  ],
  [
    "H1-14 chunks with extensions and leading zeros",
    chunked("POST").replace(/\r\n\r\n(\w+)\r\n/, '\r\n\r\n000$1;a=b;c="d"\r\n'),
  ],
  ["H1-19 HTTP/1.0 with Content-Length", sized("POST").replace("HTTP/1.1", "HTTP/1.0")],
  ["H1-23 Connection: Content-Length, Host", sized("POST", "Connection: Content-Length, Host\r\n")],
  ["H1-23 Connection: Transfer-Encoding", chunked("POST", "Connection: Transfer-Encoding\r\n")],
];

test.each(BODIES)("%s: the body stays a body", async (_name, text) => {
  const bytes = Buffer.from(text, "latin1");
  let sent = 0;
  for (const [delivery, cuts] of deliveries(bytes)) {
    await sendInPieces(port, bytes, cuts, "head");
    sent++;
    await eventually(() => app.requests().length === sent);
    const { head, body, trailers } = app.requests().at(-1)!;
    expect(head.target, delivery).toBe("/x");
    expect(body, delivery).toBe(SMUGGLED);
    expect(valuesOf(head.headers, "host"), delivery).toEqual(["a"]);
    // One framing, in its plainest form.
    expect([
      ...valuesOf(head.headers, "content-length"),
      ...valuesOf(head.headers, "transfer-encoding"),
    ]).toEqual([text.includes("chunked") ? "chunked" : String(SMUGGLED.length)]);
    expect(trailers.join(), delivery).toBe(text.includes("X-Sum") ? "X-Sum,1" : "");
  }
});

test("H1-21 an absolute target names the host, whatever Host says", async () => {
  await ask("GET http://good:9080/x?y HTTP/1.1\r\nHost: evil\r\n\r\n");
  const [{ head }] = served(1);
  expect(head.target).toBe("/x?y");
  expect(valuesOf(head.headers, "host")).toEqual(["good:9080"]);
});

test("H1-23 Connection takes away nothing that the proxy added, and no field of security", async () => {
  await ask(
    "GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: mine\r\nCookie: a=b\r\nX-Hop: gone\r\n" +
      "Connection: close, X-Hop, X-Forwarded-Proto, X-Request-Id, X-Envoy-Attempt-Count, Authorization, Cookie, Host\r\n\r\n",
  );
  const [{ head }] = served(1);
  for (const name of [
    "x-forwarded-proto",
    "x-request-id",
    "x-envoy-attempt-count",
    "host",
    "authorization",
    "cookie",
  ]) {
    expect(valuesOf(head.headers, name), name).toHaveLength(1);
  }
  expect(valuesOf(head.headers, "x-hop")).toEqual([]);
  expect(valuesOf(head.headers, "connection")).toEqual([]);
});

test("H1-24 fields that only a proxy may set are not believed from an application", async () => {
  const forged = [
    "x-envoy-original-path",
    "x-envoy-peer-metadata",
    "x-envoy-peer-metadata-id",
    "x-envoy-attempt-count",
    "x-forwarded-client-cert",
    "x-tulle-header-case",
    "x-tulle-upstream-failure",
  ];
  await ask(`GET /x HTTP/1.1\r\nHost: a\r\n${forged.map((name) => `${name}: forged\r\n`).join("")}\r\n`);
  const [{ head }] = served(1);
  expect(head.headers.filter((text) => text === "forged")).toEqual([]);
});

test("H1-24 names with an underscore do not stand for names with a hyphen", async () => {
  await ask("GET /x HTTP/1.1\r\nHost: a\r\nX_Forwarded_Proto: https\r\n\r\n");
  const [{ head }] = served(1);
  expect(valuesOf(head.headers, "x-forwarded-proto")).toEqual(["http"]);
});

test("H1-25 a thousand pipelined requests in one segment are answered in order", async () => {
  const requests = Array.from({ length: 1000 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`).join("");
  const answers = await exchangeBytes(port, requests, (text) => text.split("HTTP/1.1 200").length === 1001);
  expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(Array.from({ length: 1000 }, () => "HTTP/1.1 200"));
  expect(served(1000).map(({ head }) => head.target)).toEqual(
    Array.from({ length: 1000 }, (_, i) => `/${i}`),
  );
});

test("H1-25 pipelined requests split at every byte, and an invalid one behind valid ones ends the connection", async () => {
  const valid =
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  const bytes = Buffer.from(`${valid}GET /3 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${SMUGGLED}`, "latin1");
  for (const cuts of [[], Array.from({ length: bytes.length - 1 }, (_, i) => i + 1)]) {
    const answers = await sendInPieces(port, bytes, cuts, "end");
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 400"]);
  }
  expect(served(4).map(({ head, body }) => `${head.target}${body}`)).toEqual(["/1", "/2abc", "/1", "/2abc"]);
});

test("H1-25 what is pipelined behind Connection: close is not read", async () => {
  const answers = await sendInPieces(
    port,
    Buffer.from(`GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${SMUGGLED}`),
    [],
    "end",
  );
  expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200"]);
  expect(served(1)[0].head.target).toBe("/1");
});

test("H1-29 a thousand ranges and a compressed bomb pass as they are: nothing here expands them", async () => {
  const ranges = `bytes=${Array.from({ length: 1000 }, (_, i) => `${i}-${i}`).join(",")}`;
  const bomb = gzipSync(Buffer.alloc(8_000_000));
  const before = process.memoryUsage().rss;
  const head = `POST /x HTTP/1.1\r\nHost: a\r\nRange: ${ranges}\r\nContent-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`;
  await sendInPieces(port, Buffer.concat([Buffer.from(head), bomb]), [], "head");
  const [request] = served(1);
  expect(valuesOf(request.head.headers, "range")).toEqual([ranges]);
  expect(request.body === bomb.toString("latin1")).toBe(true);
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
});

/** The requests that reached the application, which must be as many as expected. */
function served(count: number): readonly [ServedRequest, ...ServedRequest[]] {
  const requests = app.requests();
  expect(requests).toHaveLength(count);
  return requests as readonly [ServedRequest, ...ServedRequest[]];
}

/** One exchange. */
function ask(text: string): Promise<string> {
  return exchangeBytes(port, text, (answer) => answer.endsWith("ok"));
}

function valuesOf(fields: readonly string[], name: string): readonly string[] {
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1]!.toLowerCase() === name);
}
