/**
 * Nanoseconds per head and per exchange of the HTTP/2 codec, on the built package:
 * `npm run build && node bench/micro/http2.mjs [seconds]`. Heads repeat as those of one client do: only ids differ.
 */
import {
  GrowingBuffer,
  createClientSession,
  createServerSession,
  encodeHeaderCase,
  restoreHeaderCase,
} from "../../packages/http/dist/index.js";
import { measure, seconds } from "./measure.mjs";

/** @type {[string, string[]][]} */
const REQUESTS = [
  ["curl-like request", ["User-Agent", "curl/7.88.1", "Accept", "*/*"]],
  [
    "browser-like request through a sidecar",
    [
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
      "X-Request-Id",
      "",
      "traceparent",
      "",
      "X-Forwarded-For",
      "10.1.2.3",
      "X-Forwarded-Proto",
      "http",
      "End-User",
      "jason",
      "x-envoy-peer-metadata",
      "Cg4KBE5BTUUSBhoEZGVtbwoXChFTRVJWSUNFX0FDQ09VTlQSAhoA",
      "x-tulle-header-case",
      "t,traceparent",
    ],
  ],
];
const ANSWER = [
  "Server",
  "nginx/1.22.1",
  "Date",
  "Thu, 20 Nov 2025 10:00:00 GMT",
  "Content-Type",
  "application/json",
  "Content-Length",
  "78",
  "x-envoy-upstream-service-time",
  "3",
];
const BODY = Buffer.alloc(78, "x");

console.log(
  "| request | fields | bytes | request out | request in | response out | response in | exchange |",
);
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
for (const [name, headers] of REQUESTS) report(name, headers);

const named = ["Host", "a", ...REQUESTS[1][1].slice(0, -4)];
const lower = named.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
console.log(
  `\nencodeHeaderCase, ${named.length / 2} fields: ${measure(() => encodeHeaderCase(named)).toFixed(0)} ns`,
);
const restored = [...lower];
const restore = measure(() => {
  for (let i = 0; i < lower.length; i += 2) restored[i] = lower[i];
  restoreHeaderCase(restored, "t,traceparent");
});
console.log(`restoreHeaderCase, ${named.length / 2} fields: ${restore.toFixed(0)} ns`);

/** Batches of a hundred streams, each step timed apart. */
function report(name, headers) {
  const clientSink = new GrowingBuffer({ maxBytes: 1 << 24 });
  const serverSink = new GrowingBuffer({ maxBytes: 1 << 24 });
  let completed = 0;
  const none = () => {};
  const events = {
    onHeaders: none,
    onData: none,
    onTrailers: none,
    onStreamEnd: none,
    onReset: none,
    onWritable: none,
    onGoAway: none,
    onSettings: none,
    onPingAck: none,
    onStreamRefused: none,
    onDrained: none,
    onConnectionError: (code, refusal) => {
      throw new Error(refusal.code);
    },
  };
  const options = { limits: { requestsPerTurn: 1e9 } };
  const client = createClientSession(
    { ...events, onData: (id, c, s, e) => client.consume(id, e - s), onStreamEnd: () => completed++ },
    clientSink,
    options,
  );
  const ended = [];
  const server = createServerSession({ ...events, onStreamEnd: (id) => ended.push(id) }, serverSink, options);
  const carry = (sink, from, to) => {
    const bytes = sink.view();
    to.execute(bytes, 0, bytes.length, 1);
    sink.reset();
    from.flushed(0);
    return bytes.length;
  };
  for (let i = 0; i < 3; i++) {
    carry(clientSink, client, server);
    carry(serverSink, server, client);
  }
  const request = {
    method: "GET",
    scheme: "http",
    authority: "reviews:9080",
    path: "/api/v1/products/17",
    protocol: "",
    headers,
  };
  const idAt = headers.indexOf("X-Request-Id") + 1;
  const traceAt = headers.indexOf("traceparent") + 1;
  const spent = [0, 0, 0, 0];
  let count = 0;
  let bytes = 0;
  // Ids as another program makes them: flat strings of their usual length, ready before the clock runs.
  const ids = Array.from({ length: 100 }, (_, i) =>
    Buffer.from(`7f1c2f0e-6f0f-4c41-9d38-${String(1e11 + i)}`).toString(),
  );
  const traces = ids.map((id) =>
    Buffer.from(`00-4bf92f3577b34da6a3ce929d0e0e4736-00f0${id.slice(-12)}-01`).toString(),
  );
  const round = () => {
    const t0 = performance.now();
    for (let i = 0; i < 100; i++) {
      if (idAt > 0) headers[idAt] = ids[i];
      if (traceAt > 0) headers[traceAt] = traces[i];
      client.submitRequest(request, true);
    }
    const t1 = performance.now();
    bytes = carry(clientSink, client, server) / 100;
    const t2 = performance.now();
    for (const id of ended) {
      server.submitHeaders(id, 200, ANSWER, false);
      server.submitData(id, BODY, 0, BODY.length, true);
    }
    ended.length = 0;
    const t3 = performance.now();
    carry(serverSink, server, client);
    const t4 = performance.now();
    carry(clientSink, client, server);
    spent[0] += t1 - t0;
    spent[1] += t2 - t1;
    spent[2] += t3 - t2;
    spent[3] += t4 - t3;
    count += 100;
  };
  for (const warm of [true, false]) {
    spent.fill(0);
    count = 0;
    const deadline = performance.now() + (warm ? 300 : seconds * 1000);
    while (performance.now() < deadline) round();
  }
  if (completed === 0) throw new Error("nothing was exchanged");
  const ns = spent.map((ms) => ((ms * 1e6) / count).toFixed(0));
  const total = spent.reduce((sum, ms) => sum + ms, 0);
  console.log(
    `| ${name} | ${headers.length / 2} | ${bytes.toFixed(0)} | ${ns.join(" | ")} | ${((total * 1e6) / count).toFixed(0)} |`,
  );
}
