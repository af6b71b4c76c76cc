import { describe, expect, test } from "vitest";
import type { RequestHead } from "./contract.js";
import { createRequestParser } from "./request-parser.js";
import { Recorder, deliveries, feed } from "./testing/record-events.js";

const HOST = "Host: a\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";
const post = (fields: string, body = ""): string => `POST / HTTP/1.1\r\n${HOST}${fields}\r\n${body}`;
const get = (fields: string): string => `GET / HTTP/1.1\r\n${HOST}${fields}\r\n`;
const chunks = (body: string): string => post(CHUNKED, body);
const line = (requestLine: string): string => `${requestLine}\r\n${HOST}\r\n`;

/** The classes of hostile input that request smuggling and its kin are made of: exact bytes, and the status of the refusal. */
const REFUSED: Record<string, readonly (readonly [bytes: string, status: number])[]> = {
  "CL and TE together": [
    [post(`Content-Length: 6\r\n${CHUNKED}`, "0\r\n\r\nG"), 400],
    [post(`${CHUNKED}Content-Length: 4\r\n`, "5c\r\nGPOST / HTTP/1.1\r\n0\r\n\r\n"), 400],
  ],
  "obfuscated Transfer-Encoding value": [
    [post("Transfer-Encoding: xchunked\r\n"), 501],
    [post("Transfer-Encoding: ,chunked\r\n"), 400],
    [post("Transfer-Encoding: chunked,\r\n"), 400],
    [post("Transfer-Encoding: chunked, chunked\r\n"), 400],
    [post("Transfer-Encoding: chunked, identity\r\n"), 501],
    [post("Transfer-Encoding: gzip, chunked\r\n"), 501],
    [post("Transfer-Encoding: identity\r\n"), 501],
    [post("Transfer-Encoding: \x0bchunked\r\n"), 400],
    [post("Transfer-Encoding: \x0cchunked\r\n"), 400],
    [post("Transfer-Encoding: chunked\0\r\n"), 400],
    [post("Transfer-Encoding: \xa0chunked\r\n"), 400],
    [post("Transfer-Encoding: \x85chunked\xa0\r\n"), 400],
    [post("Transfer-Encoding: chunked;q=1\r\n"), 400],
    [post('Transfer-Encoding: "chunked"\r\n'), 400],
    [post("Transfer-Encoding:\r\n"), 400],
    [post(`${CHUNKED}${CHUNKED}`), 400],
    [post(`Transfer-Encoding: identity\r\n${CHUNKED}`), 501],
    [post("Transfer-Encoding:\r\n chunked\r\n"), 400],
  ],
  "obfuscated Transfer-Encoding name": [
    [post("Transfer-Encoding : chunked\r\n"), 400],
    [post(" Transfer-Encoding: chunked\r\n"), 400],
    [post("Transfer_Encoding: chunked\r\n"), 400],
    [post("Content_Length: 3\r\n"), 400],
    [post("Transfer-\r\nEncoding: chunked\r\n"), 400],
    [post("X: y\nTransfer-Encoding: chunked\r\n"), 400],
  ],
  "duplicate or listed Content-Length": [
    [post("Content-Length: 5\r\nContent-Length: 10\r\n"), 400],
    [post("Content-Length: 5\r\nContent-Length: 5\r\n"), 400],
    [post("Content-Length: 5, 5\r\n"), 400],
    [post("Content-Length: 5,10\r\n"), 400],
    [post("Content-Length:\r\nContent-Length: 59\r\n"), 400],
  ],
  "syntax of Content-Length": [
    ...["+5", "-0", "-48", "0x10", "010", "00", "1_0", "5 5", "5\0", "", "5.0", "5e1", "\u00b2"].map(
      (value) => [post(`Content-Length: ${value}\r\n`), 400] as const,
    ),
    [post("Content-Length: 9007199254740992\r\n"), 400],
    [post("Content-Length: 9223372036854775808\r\n"), 400],
    [post("Content-Length: 18446744073709551621\r\n"), 400],
    [post(`Content-Length: 1${"0".repeat(400)}\r\n`), 400],
  ],
  expectations: [
    [post("Content-Length: 1\r\nExpect: x100-continue\r\n"), 417],
    [post("Content-Length: 1\r\nExpect: y 100-continue\r\n"), 417],
    [post("Content-Length: 1\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n"), 417],
  ],
  "chunk size": [
    ...["0x5", "+5", "-1", "-0x0", "5_0", " 5", "5 ", "\t5", "", ";a", "FFFFFFFFFFFFFFFF0", "Z", "5\r"].map(
      (size) => [chunks(`${size}\r\nabcde\r\n0\r\n\r\n`), 400] as const,
    ),
    [chunks("fffffffffffffffe\r\n"), 400],
    [chunks("1these-bytes\r\n"), 400],
    [chunks(`${"0".repeat(300)}1\r\na\r\n0\r\n\r\n`), 400],
  ],
  "chunk extension": [
    [chunks("2;\nxx\r\n0\r\n\r\n"), 400],
    [chunks("5;a=b\rX\r\nabcde\r\n0\r\n\r\n"), 400],
    [chunks('5;a="b\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n'), 400],
    [chunks('5;a="b\\\r\nabcde\r\n0\r\n\r\n'), 400],
    [chunks("5;\0\r\nabcde\r\n"), 400],
    [chunks("41;a=b\r\rXXX"), 400],
    [chunks("2\r\r;a\r\nab\r\n"), 400],
    [chunks("5;\r\nabcde\r\n0\r\n\r\n"), 400],
    [chunks("5;a=\r\nabcde\r\n0\r\n\r\n"), 400],
    [chunks('5;a="b"c\r\nabcde\r\n0\r\n\r\n'), 400],
    [chunks("5 ;a\r\nabcde\r\n0\r\n\r\n"), 400],
    [chunks(`5;a=${"x".repeat(300)}\r\nabcde\r\n0\r\n\r\n`), 400],
    [chunks(`1;a=${"x".repeat(240)}\r\na\r\n`.repeat(80)), 400],
  ],
  "chunk data terminator": [
    [chunks("5\r\nabcdefg\r\n0\r\n\r\n"), 400],
    [chunks("5\r\nabcdeXX0\r\n\r\n"), 400],
    [chunks("5\r\nabcde\n0\r\n\r\n"), 400],
    [chunks("5\r\nabcde\r0\r\n\r\n"), 400],
    [chunks("5\r\nabcde\r\n\r\n0\r\n\r\n"), 400],
    [chunks("0\r\nX:POST / HTTP/1.1\nY: z\r\n\r\n"), 400],
    [chunks("0\r\n\rX"), 400],
  ],
  trailers: [
    [chunks("0\r\n X: folded\r\n\r\n"), 400],
    [chunks("0\r\nbad name: x\r\n\r\n"), 400],
    [chunks(`0\r\n${"T: 1\r\n".repeat(101)}\r\n`), 431],
    [chunks(`0\r\nT: ${"x".repeat(70_000)}\r\n\r\n`), 431],
  ],
  "bare LF or CR": [
    ["GET / HTTP/1.1\nHost: a\n\n", 400],
    ["GET / HTTP/1.1\rHost: a\r\r", 400],
    ["GET / HTTP/1.1\n\rHost: a\n\r\n\r", 400],
    ["GET / HTTP/1.1\r\r\nHost: a\r\r\n\r\r\n", 400],
    [post("Header: v\nTransfer-Encoding: chunked\r\n"), 400],
    [get("Visible: :/\rSmuggled: :)\r\n"), 400],
    ["GET / HTTP/1.1\r\nHost: a\r\n\rX", 400],
    ["\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400],
    ["\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ],
  "folded fields": [
    [get("A: b\r\n c: d\r\n"), 400],
    [post("Content-Length:\r\n 5\r\n", "abcde"), 400],
    ["GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\n\tContent-Length: 1\r\nHost: a\r\n\r\n", 400],
  ],
  "NUL and control bytes": [0, 1, 7, 8, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f].flatMap((code) => {
    const byte = String.fromCharCode(code);
    return [
      [get(`X${byte}Y: z\r\n`), 400],
      [get(`X: y${byte}z\r\n`), 400],
      [line(`GE${byte}T / HTTP/1.1`), 400],
      [line(`GET /${byte} HTTP/1.1`), 400],
      [line(`GET / HTTP/1.${byte}`), 400],
      [`GET / HTTP/1.1\r\nHost: google.com${byte}.kallus.org\r\n\r\n`, 400],
    ] as const;
  }),
  "white space and separators in names": [
    [post("Content-Length : 34\r\n"), 400],
    [post("Content-Length\t: 34\r\n"), 400],
    [post("Content-Length 10\r\n"), 400],
    [get(": x\r\n"), 400],
    [get("Te\nst: x\r\n"), 400],
    [post("Content-Length\x85: 1\r\n"), 400],
    [get("X\r\n"), 400],
    [get("A(b): x\r\n"), 400],
  ],
  version: [
    [line("GET / HTTP/1.32"), 400],
    [line("GET / HTTP/01.1"), 400],
    [line("GET / HTTP/2.0"), 505],
    [line("GET / HTTP/1.2"), 505],
    [line("GET / HTTP/0.9"), 505],
    ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
    [line("GET / HTTP/ 1.1"), 400],
    [line("GET / http/1.1"), 400],
    [line("GET / HTTP/4294967295.255"), 400],
    [line("GET / HTTP/1"), 400],
    [line("GET /"), 400],
    [`POST / HTTP/1.0\r\n${HOST}${CHUNKED}\r\n`, 400],
    [`POST / HTTP/1.0\r\n${HOST}${CHUNKED}${CHUNKED}\r\n`, 400],
  ],
  "request line": [
    [line("GET\t/ HTTP/1.1"), 400],
    [line("GET  / HTTP/1.1"), 400],
    [line("GET /  HTTP/1.1"), 400],
    [line("GET / HTTP/1.1 "), 400],
    [line(" GET / HTTP/1.1"), 400],
    [line("GET /\xc3\xa9 HTTP/1.1"), 400],
    [line("GET /\xff HTTP/1.1"), 400],
    [line("GET /a b HTTP/1.1"), 400],
    [line("GET"), 400],
    [line("GET  HTTP/1.1"), 400],
    [line('G=":<>(e),[T];?" / HTTP/1.1'), 400],
    [line(`${"A".repeat(100_000)} / HTTP/1.1`), 414],
    [line(`GET /${"a".repeat(100_000)} HTTP/1.1`), 414],
    ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
  ],
  "target form": [
    ...["*", "host:80", "admin", "http://user@host/", "http:///", "http://", "ftp://host/", "/a#b"].map(
      (target) => [line(`GET ${target} HTTP/1.1`), 400] as const,
    ),
    [line("OPTIONS */x HTTP/1.1"), 400],
    [line("CONNECT / HTTP/1.1"), 400],
    [line("CONNECT host HTTP/1.1"), 400],
    [line("CONNECT host:0 HTTP/1.1"), 400],
    [line("CONNECT http://host:80/ HTTP/1.1"), 400],
    [`CONNECT host:80 HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nabcde`, 400],
    [`CONNECT host:80 HTTP/1.1\r\n${HOST}${CHUNKED}\r\n0\r\n\r\n`, 400],
  ],
  Host: [
    ["GET / HTTP/1.1\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400],
    ["GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400],
    ["GET http://a/ HTTP/1.1\r\n\r\n", 400],
    ...[
      "",
      "a, b",
      "a b",
      "a/b",
      "u@a",
      "a:99999",
      "a:-1",
      "a:0x50",
      "[::1",
      "[::1]x",
      "a..b",
      ".",
      "a%00b",
    ].map((host) => [`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 400] as const),
  ],
  Connection: [[get("Connection: close, a b\r\n"), 400]],
  "size limits": [
    [get(`X: ${"x".repeat(61_440)}\r\n`), 431],
    [get("X: y\r\n".repeat(101)), 431],
  ],
};

describe.each(Object.entries(REFUSED))("createRequestParser refuses %s", (_name, cases) => {
  test.each(cases.map(([bytes, status]) => [JSON.stringify(bytes).slice(0, 90), bytes, status] as const))(
    "%s",
    (_label, text, status) => {
      const bytes = Buffer.from(text, "latin1");
      for (const [delivery, cuts] of deliveries(bytes)) {
        const recorder = new Recorder<RequestHead>();
        const parser = createRequestParser(recorder);
        feed(parser, bytes, cuts);
        expect(parser.error?.status, delivery).toBe(status);
        expect(
          recorder.events.filter((event) => event.type === "end"),
          delivery,
        ).toEqual([]);
        expect(parser.idle, delivery).toBe(false);
        expect(parser.execute(Buffer.from(get("")), 0, 5), delivery).toBe(0);
      }
    },
  );
});
