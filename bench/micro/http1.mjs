/**
 * Nanoseconds per head of the HTTP/1.1 codec, on the built package: `npm run build && node bench/micro/http1.mjs`.
 * Heads are of usual size: what curl sends, what a browser-like client sends with 12 fields, and an answer.
 */
import {
  GrowingBuffer,
  createRequestParser,
  createResponseParser,
  writeRequestHead,
  writeResponseHead,
} from "../../packages/http/dist/index.js";
import { measure } from "./measure.mjs";

/** @type {[any, any, string[]]} */
const SMALL = [
  "GET",
  "/api/v1/products?id=17",
  ["Host", "reviews:9080", "User-Agent", "curl/7.88.1", "Accept", "*/*"],
];
/** @type {[any, any, string[]]} */
const LARGE = [
  "GET",
  "/api/v1/products/17/reviews?limit=20",
  [
    "Host",
    "reviews.default.svc.cluster.local:9080",
    "User-Agent",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Accept",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Encoding",
    "gzip, deflate, br",
    "Accept-Language",
    "en-GB,en;q=0.9,de;q=0.8",
    "Cookie",
    "session=2f6d0b1a7c; theme=dark; consent=yes",
    "Connection",
    "keep-alive",
    "X-Request-Id",
    "7f1c2f0e-6f0f-4c41-9d38-0d2f3b8f1f11",
    "traceparent",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "X-Forwarded-For",
    "10.1.2.3",
    "X-Forwarded-Proto",
    "http",
    "End-User",
    "jason",
  ],
];
/** @type {[any, any, string[]]} */
const ANSWER = [
  200,
  "OK",
  [
    "Server",
    "nginx/1.22.1",
    "Date",
    "Thu, 20 Nov 2025 10:00:00 GMT",
    "Content-Type",
    "application/json",
    "Content-Length",
    "0",
    "Connection",
    "keep-alive",
  ],
];

const sink = new GrowingBuffer({ maxBytes: 1 << 24 });
let heads = 0;
const handler = { onHead: () => heads++, onBody: () => {}, onEnd: () => {} };

console.log("| head | bytes | fields | parse ns | encode ns |\n| --- | --- | --- | --- | --- |");
for (const message of [SMALL, LARGE]) {
  const name = message === SMALL ? "small request" : "large request";
  const bytes = encoded(() => writeRequestHead(sink, message[0], message[1], message[2]));
  const parser = createRequestParser(handler);
  report(
    name,
    bytes,
    message[2],
    measure(() => parser.execute(bytes, 0, bytes.length)),
    measure(() => {
      writeRequestHead(sink, message[0], message[1], message[2]);
      sink.reset();
    }),
  );
}
{
  const bytes = encoded(() => writeResponseHead(sink, ...ANSWER));
  const parser = createResponseParser(handler);
  const parse = measure(() => {
    parser.expect("GET");
    parser.execute(bytes, 0, bytes.length);
  });
  report(
    "response",
    bytes,
    ANSWER[2],
    parse,
    measure(() => {
      writeResponseHead(sink, ANSWER[0], ANSWER[1], ANSWER[2]);
      sink.reset();
    }),
  );
}
if (heads === 0) throw new Error("nothing was parsed");

function encoded(write) {
  write();
  const bytes = Buffer.from(sink.view());
  sink.reset();
  return bytes;
}

function report(name, bytes, fields, parse, encode) {
  console.log(
    `| ${name} | ${bytes.length} | ${fields.length / 2} | ${parse.toFixed(0)} | ${encode.toFixed(0)} |`,
  );
}
