import fc from "fast-check";
import { FakeClock } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { backend, call, closeAll, closedPort, createProxy, rawBackend } from "../../test/harness.js";
import { source } from "../../test/request-source.js";
import { apiListener, cluster, endpoints, ms, routes, routeTo, serviceAt } from "../../test/resources.js";
import { hashRequestId } from "../stream/decision.js";
import { ExchangeRecord } from "../stream/exchange-record.js";
import { Counter } from "../telemetry/metrics.js";
import { DecisionRecords } from "./decision-records.js";
import { encodeRecord } from "./encode-record.js";
import { unpackRecord, type PackedRecord } from "./packed-record.js";
import { explainRecord } from "./record-answer.js";
import { MAX_RECORD_BYTES } from "./record-ring.js";

afterEach(closeAll);

const ID = "11111111-2222-4333-8444-555555555555";

test("a refused connection is recorded: the tries, the route's owner, versions and the answer", async () => {
  const dead = await closedPort();
  const proxy = createProxy();
  proxy.apply(...serviceAt("reviews:9080", [dead]));
  const port = await proxy.listen("reviews:9080");
  const headers = {
    "x-request-id": ID,
    version: "v2",
    authorization: "Bearer sesame",
    cookie: "session=sesame",
  };
  expect((await call(port, "/reviews/1?token=sesame&page=2", { headers })).status).toBe(503);
  const [found, ...others] = proxy.stack.records.find(ID);
  expect(others).toEqual([]);
  expect(JSON.stringify(found?.record)).not.toContain("sesame");
  expect(found?.snapshot).toBe(proxy.configuration.current);
  expect(found?.record).toMatchObject({
    requestId: ID,
    direction: "outbound",
    kept: "failed",
    request: {
      method: "GET",
      authority: "reviews:9080",
      path: "/reviews/1?token=<redacted>&page=2",
      protocol: "HTTP/1.1",
      omittedHeaders: 0,
    },
    attempts: 3,
    tries: Array.from({ length: 3 }, () => ({
      endpoint: `127.0.0.1:${dead}`,
      outcome: "connect-failure",
      detail: "ECONNREFUSED",
      status: 0,
    })),
    response: { status: 503, flags: "URX,UF", transportFailure: "ECONNREFUSED" },
  });
  expect(found?.record.request.headers).toEqual(
    expect.arrayContaining(["version", "v2", "authorization", "<redacted>", "cookie", "<redacted>"]),
  );
  expect(Object.keys(found?.record.versions ?? {})).toEqual(["listener", "routes", "cluster", "endpoints"]);
});

test("what a second try saved is recorded with both tries", async () => {
  let requests = 0;
  const { port: app } = await rawBackend((socket) => {
    socket.once("data", () => {
      if (++requests === 1) socket.destroy();
      else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const proxy = createProxy();
  proxy.apply(...serviceAt("reviews:9080", [app]));
  const port = await proxy.listen("reviews:9080");
  await call(port, "/", { headers: { "x-request-id": ID } });
  const [found] = proxy.stack.records.find(ID);
  expect(found?.record).toMatchObject({
    kept: "retried",
    tries: [{ outcome: "closed" }, { outcome: "answered", status: 200 }],
    response: { status: 200 },
  });
});

test("a request that nobody waited for to the end is recorded as abandoned", async () => {
  const { port: app } = await rawBackend(() => undefined);
  const proxy = createProxy();
  proxy.apply(
    cluster("c"),
    endpoints("c", [{ port: app }]),
    apiListener("reviews:9080", "r"),
    routes("r", [routeTo("c", { timeout: ms(50) })]),
  );
  const port = await proxy.listen("reviews:9080");
  expect((await call(port, "/", { headers: { "x-request-id": ID } })).status).toBe(504);
  expect(proxy.stack.records.find(ID)[0]?.record).toMatchObject({
    tries: [{ outcome: "abandoned", status: 0 }],
    response: { status: 504, flags: "UT", details: "response_timeout" },
  });
});

test("the configuration that a record was decided with is held while the proxy goes on", async () => {
  const { port: app } = await backend((_request, response) => response.writeHead(500).end());
  const proxy = createProxy();
  proxy.apply(...serviceAt("reviews:9080", [app]));
  const port = await proxy.listen("reviews:9080");
  await call(port, "/", { headers: { "x-request-id": ID } });
  const then = proxy.configuration.current;
  proxy.apply(...serviceAt("reviews:9080", [app, await closedPort()]));
  expect(proxy.configuration.current).not.toBe(then);
  expect(proxy.stack.records.find(ID)[0]?.snapshot).toBe(then);
});

class Finished extends ExchangeRecord {
  finish(fields: {
    readonly id?: string;
    readonly entropy?: number;
    readonly status?: number;
    readonly path?: string;
    readonly headers?: readonly string[];
    readonly texts?: readonly string[];
  }): this {
    const [route = "", flags = "", details = "", config = ""] = fields.texts ?? [];
    this.requestId = fields.id ?? ID;
    this.entropy = fields.entropy ?? 0;
    this.responseCode = fields.status ?? 200;
    this.request.path = fields.path ?? "/";
    this.request.headers = [...(fields.headers ?? [])];
    this.routeName = route;
    this.responseFlags = flags;
    this.responseCodeDetails = details;
    this.provenance = { config, rule: "http[0]" };
    return this;
  }
}

const { configuration } = createProxy();

function recordsAt(samplePercent: number): { readonly records: DecisionRecords; readonly dropped: Counter } {
  const dropped = new Counter();
  return {
    records: new DecisionRecords({ configuration, clock: new FakeClock(), samplePercent, dropped }),
    dropped,
  };
}

test("the share of successes that is asked for is recorded, wherever the same bits sent them", () => {
  const { records } = recordsAt(10);
  const ids = Array.from({ length: 20_000 }, (_, i) => `request-${i}`);
  // Of the requests that a split sent to its first tenth, a tenth is kept all the same.
  const firstTenth = ids.filter((id) => hashRequestId(id) < 2 ** 32 / 10);
  let kept = 0;
  for (const id of firstTenth) {
    records.take(new Finished(source).finish({ id, entropy: hashRequestId(id) }));
    kept += records.find(id).length;
  }
  const share = kept / firstTenth.length;
  expect(share).toBeGreaterThan(0.07);
  expect(share).toBeLessThan(0.13);
});

test("all successes are recorded, or none, as it is asked for", () => {
  for (const percent of [0, 100]) {
    const { records } = recordsAt(percent);
    for (let i = 0; i < 100; i++) {
      const id = `request-${i}`;
      records.take(new Finished(source).finish({ id, entropy: hashRequestId(id) }));
      expect(records.find(id)).toHaveLength(percent / 100);
    }
  }
});

test("a success that was delayed on purpose is no failure", () => {
  const { records } = recordsAt(0);
  const delayed = new Finished(source).finish({ texts: ["", "DI"], entropy: hashRequestId(ID) });
  records.take(delayed);
  expect(records.find(ID)).toEqual([]);
  records.take(new Finished(source).finish({ texts: ["", "DI,UF"], entropy: hashRequestId(ID) }));
  expect(records.find(ID)).toHaveLength(1);
});

test("explainRecord decides again with the configuration of then, and says when it is that of now", async () => {
  const { port: app } = await backend((_request, response) => response.writeHead(500).end());
  const proxy = createProxy();
  proxy.apply(...serviceAt("reviews:9080", [app]));
  const port = await proxy.listen("reviews:9080");
  await call(port, "/x", { headers: { "x-request-id": ID } });
  // Today the request would find no route.
  proxy.apply(routes("reviews.default.svc.cluster.local:9080", []));
  const [found] = proxy.stack.records.find(ID);
  const present = { snapshot: proxy.configuration.current, load: proxy.load, now: 0 };
  expect(explainRecord(found!, present)).toMatchObject({
    explainedWith: "then",
    explanation: { result: { kind: "forward" }, request: { path: "/x" }, endpoints: [{ chosen: true }] },
  });
  expect(explainRecord({ ...found!, snapshot: undefined }, present)).toMatchObject({
    explainedWith: "now",
    explanation: { result: { kind: "no-route" } },
  });
  const cut = { ...found!.record, request: { ...found!.record.request, authority: "revi..." } };
  expect(explainRecord({ record: cut, snapshot: undefined }, present)).toEqual({ record: cut });
});

test("a flood of failures is kept up to a rate, and what is not is counted", () => {
  const { records, dropped } = recordsAt(0);
  for (let i = 0; i < 600; i++) records.take(new Finished(source).finish({ status: 503 }));
  expect(dropped.value).toBe(600 - 512);
});

test("of many successes a number in a second is kept, however large the sample", () => {
  const { records } = recordsAt(100);
  const ids = Array.from({ length: 600 }, (_, i) => `request-${i}`);
  for (const id of ids) records.take(new Finished(source).finish({ id, entropy: hashRequestId(id) }));
  expect(ids.filter((id) => records.find(id).length > 0)).toHaveLength(256);
});

test("encodeRecord fits any exchange into its place, as JSON that says how much was left out", () => {
  const text = fc.string({ unit: "binary", maxLength: 3000 });
  const latin = fc.string({
    unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)),
    maxLength: 600,
  });
  fc.assert(
    fc.property(
      text,
      latin,
      fc.array(fc.tuple(fc.stringMatching(/^x-[a-z]{1,20}$/), latin), { maxLength: 40 }),
      fc.array(text, { minLength: 4, maxLength: 4 }),
      fc.nat(12),
      (id, path, fields, texts, tries) => {
        const exchange = new Finished(source).finish({
          id,
          path,
          headers: fields.flat(),
          texts,
          status: 503,
        });
        for (let i = 0; i < tries; i++) {
          exchange.tries.note(exchange.tries.begin("127.0.0.1:65535", i), "closed", 0, texts[0]!, i);
        }
        const encoded = encodeRecord(exchange, "failed", configuration, 0);
        expect(encoded).not.toBe("");
        expect(encoded.length).toBeLessThanOrEqual(MAX_RECORD_BYTES);
        expect(Buffer.from(encoded, "latin1").toString("latin1")).toBe(encoded);
        const { request, attempts } = unpackRecord(JSON.parse(encoded) as PackedRecord);
        expect(request.headers.length / 2 + request.omittedHeaders).toBe(fields.length);
        expect(attempts).toBe(tries);
      },
    ),
  );
});
