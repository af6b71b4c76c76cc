import fc from "fast-check";
import { expect, test } from "vitest";

import { clientHello, helloMessage, inRecords, padding, serverNames } from "../../test/client-hello.js";
import { MAX_FIRST_BYTES, readFirstBytes } from "./first-bytes.js";

const kindOf = (text: string | Buffer): string => {
  const found = readFirstBytes(typeof text === "string" ? Buffer.from(text, "latin1") : text);
  return typeof found === "number" ? "more" : found.kind;
};

test.each([
  ["", "more"],
  ["G", "more"],
  ["GET", "more"],
  ["GET ", "more"],
  ["GET /very/long", "more"],
  ["GET / HTTP/1", "more"],
  ["GET / HTTP/1.1\r\n", "http1"],
  ["GET / HTTP/1.", "http1"],
  ["OPTIONS * HTTP/1.1\r\n\r\n", "http1"],
  ["CONNECT db:5432 HTTP/1.1\r\n", "http1"],
  ["PROPFIND /\xe9 HTTP/1.1\r\n", "http1"],
  ["P", "more"],
  ["PRI * HTTP/2.0\r", "more"],
  ["PRI * HTTP/2.0\r\n", "http2"],
  ["PRI / HTTP/1.1\r\n", "tcp"],
  // Of HTTP, but not for us to take apart.
  ["GET /\r\n", "tcp"],
  ["get / HTTP/1.1\r\n", "tcp"],
  ["BREW / HTTP/1.1\r\n", "tcp"],
  ["GET  / HTTP/1.1\r\n", "tcp"],
  ["GET /\0 HTTP/1.1\r\n", "tcp"],
  ["GET / HTTP/2.0\r\n", "tcp"],
  ["GET / FTP/1.1\r\n", "tcp"],
  // Other protocols in text, some of whose words are methods.
  ["*1\r\n$4\r\nPING\r\n", "tcp"],
  ["GET greeting\r\n", "tcp"],
  ["SEARCH ALL\r\n", "tcp"],
  ["PASS secret\r\n", "tcp"],
  ["EHLO me\r\n", "tcp"],
  ["SSH-2.0-OpenSSH_9.6\r\n", "tcp"],
  ["\r\n", "tcp"],
  ["\0", "tcp"],
  ["\x16", "more"],
  ["\x16\x03", "more"],
  ["\x16\x04", "tcp"],
  ["\x16\x03\x01\x00\x05\x02", "tcp"],
])("readFirstBytes takes %j for %s", (text, kind) => {
  expect(kindOf(text)).toBe(kind);
});

test("readFirstBytes reads the name that TLS asks for", () => {
  expect(readFirstBytes(clientHello("a.example"))).toEqual({
    kind: "tls",
    hello: { serverName: "a.example", alpn: ["h2"] },
  });
});

test("readFirstBytes waits for no more than its limit", () => {
  expect(kindOf(`GET /${"a".repeat(MAX_FIRST_BYTES - 6)}`)).toBe("more");
  expect(kindOf(`GET /${"a".repeat(MAX_FIRST_BYTES - 5)}`)).toBe("http1");
  const long = inRecords(helloMessage([padding(MAX_FIRST_BYTES), serverNames(Buffer.from("a.example"))]), 1);
  expect(readFirstBytes(long.subarray(0, MAX_FIRST_BYTES))).toEqual({
    kind: "tls",
    hello: { serverName: "", alpn: [] },
  });
});

test("readFirstBytes says the same of a connection, however its bytes are split", () => {
  const line = fc
    .tuple(
      fc.constantFrom("GET", "POST", "PRI", "P", "M-SEARCH", "FETCH"),
      fc.string({ unit: "binary", maxLength: 20 }),
      fc.constantFrom(" HTTP/1.1\r\n", " HTTP/2.0\r\n", " HTTP", "\r\n", ""),
    )
    .map(([method, target, end]) => Buffer.from(`${method} ${target}${end}`, "latin1"));
  const any = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
  const tls = fc
    .tuple(fc.domain(), fc.integer({ min: 1, max: 300 }))
    .map(([name, size]) => inRecords(helloMessage([serverNames(Buffer.from(name))]), size));
  fc.assert(
    fc.property(fc.oneof(line, any, tls), (bytes) => {
      const last = readFirstBytes(bytes);
      for (let length = 0; length < bytes.length; length++) {
        const found = readFirstBytes(bytes.subarray(0, length));
        if (typeof found === "number") expect(found).toBeGreaterThan(length);
        else expect(found).toEqual(last);
      }
    }),
    { numRuns: 500 },
  );
});
