import { connect } from "node:net";
import { readFileSync, writeFileSync } from "node:fs";

import { createLogger } from "@tulle/base";
import { eventually, FakeClock } from "@tulle/testkit";
import { afterEach, describe, expect, test } from "vitest";

import { HTTP1_ERRORS } from "../../../http/src/http1-errors.js";
import { DEFAULT_HTTP1_LIMITS } from "../../../http/src/limits.js";
import { DEFAULT_HTTP2_LIMITS, completeOptions } from "../../../http/src/http2/limits.js";
import { REFUSALS } from "../../../http/src/http2/refusals.js";
import {
  clientStart,
  END_HEADERS,
  END_STREAM,
  get,
  headers,
  many,
  ping,
  rst,
} from "../../../http/src/testing/http2-frames.js";
import { backend, call, closeAll, createProxy, exchangeBytes, type TestProxy } from "../../test/harness.js";
import { limitsDocument } from "../../test/limits-document.js";
import { source } from "../../test/request-source.js";
import { apiListener, cluster, endpoints, routes, routeTo, serviceAt } from "../../test/resources.js";
import { MetricsRegistry } from "../telemetry/metrics.js";
import { prometheusText } from "../telemetry/prometheus-text.js";
import { definitionOf, LIMIT_NAMES, limitOfCode, LIMITS } from "./limit-table.js";
import { parseLimits, ProxyLimits } from "./proxy-limits.js";
import { StruckLimits } from "./struck-limits.js";

afterEach(closeAll);

const DOCUMENT = new URL("../../../../docs/limits.md", import.meta.url);

test("docs/limits.md says what the table says (UPDATE_GOLDEN=1 writes it)", () => {
  if (process.env["UPDATE_GOLDEN"] !== undefined) writeFileSync(DOCUMENT, limitsDocument());
  expect(readFileSync(DOCUMENT, "utf8")).toBe(limitsDocument());
});

test("every limit of the codecs is one that can be set, and every code is one that a codec gives", () => {
  for (const name of Object.keys(DEFAULT_HTTP1_LIMITS)) expect(LIMIT_NAMES).toContain(`http1.${name}`);
  for (const name of Object.keys(DEFAULT_HTTP2_LIMITS)) expect(LIMIT_NAMES).toContain(`http2.${name}`);
  const codes = new Set(
    [...Object.values(HTTP1_ERRORS), ...Object.values(REFUSALS)].map(({ code }) => code as string),
  );
  for (const name of LIMIT_NAMES) {
    for (const code of definitionOf(name).codes ?? []) expect(codes).toContain(code);
  }
  // A refusal whose words name a limit is counted for that limit.
  for (const { code, message } of Object.values(REFUSALS)) {
    const named = LIMIT_NAMES.filter((name) => name.startsWith("http2.") && message.includes(name.slice(6)));
    if (named.length > 0) expect(named).toContain(limitOfCode(code));
  }
});

test("every value within its bounds makes a session", () => {
  for (const edge of ["min", "max", "default"] as const) {
    const limits = new ProxyLimits(parseLimits(LIMIT_NAMES.map((name) => `${name}=${LIMITS[name][edge]}`)));
    for (const { http2 } of [limits.trusted, limits.stranger])
      expect(completeOptions(http2)).toMatchObject(http2);
    completeOptions(limits.http2Response);
  }
});

describe("parseLimits", () => {
  test("takes what users write, and of two the later", () => {
    expect(parseLimits([" http1.maxHeadBytes = 2048", "request.maxParked=1", "request.maxParked=2"])).toEqual(
      {
        "http1.maxHeadBytes": 2048,
        "request.maxParked": 2,
      },
    );
  });

  test.each([
    ["http1.maxHeadBytes=1", 'http1.maxHeadBytes must be a whole number from 1024 to 8388608 bytes, not "1"'],
    ["http1.maxHeadBytes=", 'not ""'],
    ["http1.maxHeadBytes", 'not ""'],
    ["http1.maxHeadBytes=0x800", 'not "0x800"'],
    ["http1.maxHeadBytes=1e4", 'not "1e4"'],
    ["http1.maxHeadBytes=99999999999999999999", "not"],
    ["maxHeadBytes=2048", 'there is no limit "maxHeadBytes"; did you mean http1.maxHeadBytes?'],
    ["__proto__=1", 'there is no limit "__proto__"'],
    ["", 'there is no limit ""; the limits are listener.maxConnections'],
  ])("refuses %j and says what it may be", (text, message) => {
    expect(() => parseLimits([text])).toThrow(expect.objectContaining({ code: "PROXY_BAD_LIMIT" }));
    expect(() => parseLimits([text])).toThrow(message);
  });
});

describe("ProxyLimits", () => {
  const inbound = {
    direction: "inbound",
    ownCaller: false,
    fixedAuthority: "",
    chain: () => undefined,
  } as const;

  test("are narrower for strangers, unless one is given", () => {
    const limits = new ProxyLimits({ "http2.maxHeaderCount": 7 });
    expect(limits.of(inbound)).toBe(limits.stranger);
    expect(limits.of({ ...inbound, ownCaller: true })).toBe(limits.trusted);
    expect(limits.of(source)).toBe(limits.trusted);
    expect(limits.trusted.values["http2.maxConcurrentStreams"]).toBe(1024);
    expect(limits.stranger.values["http2.maxConcurrentStreams"]).toBe(100);
    for (const { values } of [limits.trusted, limits.stranger])
      expect(values["http2.maxHeaderCount"]).toBe(7);
  });

  test("take a listener's, under what was given, within the bounds, made once", () => {
    const limits = new ProxyLimits({ "http1.maxHeaderCount": 7 });
    const chain = {
      limits: { "http1.maxHeaderCount": 50, "http1.maxHeadBytes": 2048, "http2.streamWindowBytes": 1 },
    };
    const configured = { ...inbound, chain: () => chain as never };
    const { values, http1, http2 } = limits.of(configured);
    expect(http1).toMatchObject({ maxHeaderCount: 7, maxHeadBytes: 2048 });
    expect(values["http2.streamWindowBytes"]).toBe(65_535);
    expect(http2.streamWindowBytes).toBe(65_535);
    expect(limits.of(configured)).toBe(limits.of(configured));
  });
});

test("StruckLimits counts every time and logs once in ten seconds, with what came in between", async () => {
  const clock = new FakeClock();
  const metrics = new MetricsRegistry();
  const lines: string[] = [];
  const logger = createLogger({ write: (line) => lines.push(line), now: () => 0 });
  const struck = new StruckLimits(metrics, logger, clock);
  for (let i = 0; i < 5; i++) struck.strike("http2.maxResetsPerSecond", 200, "10.0.0.1:7");
  struck.strike("connection.idleTimeoutMs", 1, "10.0.0.1:8");
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('"limit":"http2.maxResetsPerSecond","value":200,"remote":"10.0.0.1:7"');
  expect(lines[0]).toContain("--limit http2.maxResetsPerSecond=<count>");
  await clock.advance(10_000);
  struck.strike("http2.maxResetsPerSecond", 200, "10.0.0.1:9");
  expect(lines[1]).toContain('"more":4');
  const text = prometheusText(metrics);
  expect(text).toContain('tulle_limit_exceeded_total{limit="http2.maxResetsPerSecond"} 6');
  expect(text).toContain('tulle_limit_exceeded_total{limit="connection.idleTimeoutMs"} 1');
});

/** A proxy with limits, in front of an application that answers with what it is told. */
async function limited(limits: readonly string[]): Promise<{ proxy: TestProxy; port: number }> {
  const { port: app } = await backend((request, response) => {
    if (request.url === "/interim") response.writeEarlyHints({ link: "</a>" });
    if (request.url === "/large") response.setHeader("x", "y".repeat(4000));
    request.resume().on("end", () => response.end("ok"));
  });
  const proxy = createProxy({ limits });
  proxy.apply(...serviceAt("reviews:9080", [app]));
  return { proxy, port: await proxy.listen("reviews:9080") };
}

const GET = "GET / HTTP/1.1\r\nHost: a\r\n";

describe("a limit that is given holds, and is counted where it strikes", () => {
  test.each<[limit: string, bytes: string | Buffer, answer: RegExp]>([
    ["http1.maxHeadBytes=1024", `${GET}X: ${"y".repeat(1100)}\r\n\r\n`, /^HTTP\/1.1 431/],
    ["http1.maxHeaderCount=2", `${GET}A: 1\r\nB: 1\r\n\r\n`, /^HTTP\/1.1 431/],
    [
      "http1.maxChunkLineBytes=16",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=bbbbbbbbbbbbbbbbbbb\r\nx\r\n0\r\n\r\n",
      /^HTTP\/1.1 400/,
    ],
    [
      "http1.maxResponseHeadBytes=1024",
      "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      /^HTTP\/1.1 502/,
    ],
    [
      "http1.maxInterimResponses=0",
      "GET /interim HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      /^HTTP\/1.1 502/,
    ],
    ["connection.headerTimeoutMs=100", GET, /^HTTP\/1.1 408/],
    ["connection.idleTimeoutMs=100", "", /^$/],
    ["http2.maxHeaderCount=1", clientStart(headers(1, get("a", "b", "c", "d"))), /./],
    ["http2.maxConcurrentStreams=1", clientStart(headers(1, get(), END_HEADERS), headers(3, get())), /./],
    [
      "http2.maxContinuationFrames=0",
      clientStart(headers(1, get(), END_STREAM), Buffer.from("000000090400000001", "hex")),
      /./,
    ],
    ["http2.maxControlFramesPerSecond=10", clientStart(many(20, () => ping())), /./],
    [
      "http2.maxResetsPerSecond=10",
      clientStart(many(20, (i) => Buffer.concat([headers(2 * i + 1, get()), rst(2 * i + 1)]))),
      /./,
    ],
    [
      "http2.maxSettingsEntries=1",
      clientStart(Buffer.from("00000c04000000000000030000006400030000006f".slice(0, 42), "hex")),
      /./,
    ],
  ])("%s", async (limit, bytes, answer) => {
    const { proxy, port } = await limited([limit]);
    const socket = connect(port, "127.0.0.1");
    let received = "";
    socket.on("data", (chunk: Buffer) => (received += chunk.toString("latin1")));
    socket.on("error", () => undefined);
    socket.write(bytes);
    const name = limit.split("=")[0]!;
    await eventually(() => proxy.metricsText().includes(`tulle_limit_exceeded_total{limit="${name}"} `));
    await eventually(() => answer.test(received));
    socket.destroy();
  });

  test("listener.maxConnections=1", async () => {
    const { proxy, port } = await limited(["listener.maxConnections=1"]);
    const first = connect(port, "127.0.0.1");
    await new Promise((resolve) => first.once("connect", resolve));
    await expect(exchangeBytes(port, `${GET}\r\n`)).resolves.toBe("");
    expect(proxy.metricsText()).toContain('tulle_limit_exceeded_total{limit="listener.maxConnections"} 1');
    first.destroy();
  });

  test("request.maxParked=1 and request.parkTimeoutMs", async () => {
    const proxy = createProxy({ limits: ["request.maxParked=1", "request.parkTimeoutMs=200"] });
    const port = await proxy.listen("");
    const waiting = call(port, "/", { headers: { host: "later:80" } });
    await eventually(() => proxy.demanded.length === 1);
    expect((await call(port, "/", { headers: { host: "later:80" } })).status).toBe(503);
    expect(proxy.metricsText()).toContain('tulle_limit_exceeded_total{limit="request.maxParked"} 1');
    expect((await waiting).status).toBeGreaterThanOrEqual(400);
  });

  test("of a listener, by the control plane", async () => {
    const { port: app } = await backend((_request, response) => response.end("ok"));
    const name = "outbound|9080||reviews.default.svc.cluster.local";
    const proxy = createProxy();
    proxy.apply(
      cluster(name),
      endpoints(name, [{ port: app }]),
      apiListener("reviews:9080", "r", { maxRequestHeadersKb: 1 }),
      routes("r", [routeTo(name)]),
    );
    const port = await proxy.listen("reviews:9080");
    expect(await exchangeBytes(port, `${GET}X: ${"y".repeat(1100)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 431/);
    expect((await call(port)).status).toBe(200);
  });
});
