import type { HeaderList, RequestHead } from "@tulle/http";
import { expect, test } from "vitest";

import { tellEnd } from "./http1-response-end.js";

const asked = (method: string, minorVersion: 0 | 1): RequestHead => ({
  method,
  target: "/",
  minorVersion,
  headers: [],
  framing: "none",
  contentLength: 0,
  keepAlive: true,
  expectContinue: false,
  upgrade: "",
  host: "a",
});

test.each([
  ["a known length", "GET", 1, 200, true, 5, "head", []],
  ["an unknown length", "GET", 1, 200, true, -1, "chunked", ["transfer-encoding", "chunked"]],
  ["an unknown length for HTTP/1.0", "GET", 0, 200, true, -1, "close", []],
  ["no body", "GET", 1, 200, false, -1, "head", ["content-length", "0"]],
  ["no body to HEAD", "HEAD", 1, 200, false, -1, "head", []],
  ["204", "GET", 1, 204, false, -1, "head", []],
  ["304", "GET", 1, 304, false, -1, "head", []],
] as const)(
  "tellEnd knows the end of a response with %s",
  (_name, method, minor, status, hasBody, contentLength, end, fields) => {
    const headers: HeaderList = [];
    expect(tellEnd(headers, asked(method, minor), status, hasBody, contentLength)).toBe(end);
    expect(headers).toEqual(fields);
  },
);
