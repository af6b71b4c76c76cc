import { METHODS } from "node:http";

import { HTTP2_PREFACE } from "@tulle/http";

import { MAX_HELLO_BYTES, readClientHello, type ClientHello } from "./client-hello.js";

/** What the first bytes of a client are. `hello` is there with `tls` only. */
export type FirstBytes =
  | { readonly kind: "http1" | "http2" | "tcp" }
  | { readonly kind: "tls"; readonly hello: ClientHello };

/** First bytes that are not decisive within this are not waited for. */
export const MAX_FIRST_BYTES = 16 * 1024;

const HTTP1: FirstBytes = { kind: "http1" };
const HTTP2: FirstBytes = { kind: "http2" };
const TCP: FirstBytes = { kind: "tcp" };

const SPACE = 0x20;
const DELETE = 0x7f;
/** The preface's first line, which no HTTP/1 server is asked by: the method is reserved (RFC 9113 section 11.6). */
const PREFACE_LINE = HTTP2_PREFACE.subarray(0, HTTP2_PREFACE.indexOf("\n") + 1);
const VERSION = Buffer.from(" HTTP/1.");
const KNOWN_METHODS: readonly Buffer[] = METHODS.map((method) => Buffer.from(`${method} `));

/**
 * Says what a client speaks by its first bytes, or, as a number, how many there must be at least to say more. HTTP/1 is
 * what has a whole request line of a known method: a text protocol may well begin with a word such as `GET`. Bytes that
 * begin no protocol known here are decided on at once.
 */
export function readFirstBytes(all: Buffer): FirstBytes | number {
  if (all.length === 0) return 1;
  const bytes = all.subarray(0, MAX_FIRST_BYTES);
  const tls = readTls(bytes);
  if (tls !== undefined) return tls;
  if (startsAlike(bytes, PREFACE_LINE)) {
    return bytes.length < PREFACE_LINE.length ? bytes.length + 1 : HTTP2;
  }
  const method = KNOWN_METHODS.find((known) => startsAlike(bytes, known));
  if (method === undefined) return TCP;
  return readRequestLine(bytes, method.length);
}

function readTls(bytes: Buffer): FirstBytes | number | undefined {
  const hello = readClientHello(bytes);
  if (typeof hello !== "number") return hello && { kind: "tls", hello };
  return bytes.length < MAX_HELLO_BYTES ? hello : { kind: "tls", hello: { serverName: "", alpn: [] } };
}

/** Whether one begins with the other, whichever is shorter. */
function startsAlike(bytes: Buffer, pattern: Buffer): boolean {
  const length = Math.min(bytes.length, pattern.length);
  return bytes.compare(pattern, 0, length, 0, length) === 0;
}

/** The rest of `method SP target SP HTTP/1.x` (RFC 9112 section 3), `at` where the target begins. */
function readRequestLine(bytes: Buffer, at: number): FirstBytes | number {
  let end = at;
  while (end < bytes.length && isTarget(bytes[end] as number)) end++;
  if (end < bytes.length) {
    const rest = bytes.subarray(end, end + VERSION.length);
    if (end === at || !startsAlike(rest, VERSION)) return TCP;
    if (rest.length === VERSION.length) return HTTP1;
  }
  // A target of this length is for the HTTP codec to refuse.
  return bytes.length < MAX_FIRST_BYTES ? bytes.length + 1 : HTTP1;
}

/** Anything but controls and space: what a target must not have besides is for the HTTP codec to say. */
function isTarget(byte: number): boolean {
  return byte > SPACE && byte !== DELETE;
}
