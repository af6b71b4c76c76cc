import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import {
  backend,
  call,
  closeAll,
  closedPort,
  createProxy,
  rawBackend,
  type TestProxy,
} from "../../test/harness.js";
import {
  apiListener,
  cluster,
  DEFAULT_RETRIES,
  endpoints,
  ms,
  routes,
  routeTo,
} from "../../test/resources.js";

afterEach(closeAll);

interface Options {
  readonly action?: Record<string, unknown>;
  readonly hedge?: { readonly afterMs: number; readonly max?: number };
}

async function proxyTo(
  ports: readonly number[],
  { action = {}, hedge }: Options,
): Promise<{ proxy: TestProxy; port: number }> {
  const proxy = createProxy();
  const metadata = hedge === undefined ? {} : { filterMetadata: { "tulle.dev": { hedge: { ...hedge } } } };
  proxy.apply(
    cluster("c"),
    endpoints(
      "c",
      ports.map((port) => ({ port })),
    ),
    apiListener("reviews:9080", "r"),
    routes("r", [{ ...routeTo("c", action), metadata }]),
  );
  return { proxy, port: await proxy.listen("reviews:9080") };
}

/** Takes requests and never answers; counts connections that were closed. */
async function silent() {
  const seen = { requests: 0, closed: 0 };
  const { port } = await rawBackend((socket) => {
    socket.on("data", () => seen.requests++);
    socket.on("close", () => seen.closed++);
  });
  return { port, seen };
}

const answering = (body: string, status = 200) =>
  backend((request, response) => {
    request.resume();
    request.on("end", () => {
      response.statusCode = status;
      response.end(body);
    });
  });

async function idle({ load }: TestProxy): Promise<void> {
  await eventually(() =>
    Array.from({ length: 8 }, (_, slot) => load.inFlight(slot)).every((count) => count === 0),
  );
}

test("a try that takes long gets company, the first good answer counts and the other is cancelled", async () => {
  const slow = await silent();
  const { port: fast } = await answering("fast");
  const { port, proxy } = await proxyTo([slow.port, fast], { hedge: { afterMs: 30 } });
  for (let i = 0; i < 6; i++) {
    const answer = await call(port, "/", { method: "PUT", body: `body ${i}` });
    expect(answer.body).toBe("fast");
  }
  expect(slow.seen.requests).toBeGreaterThan(0);
  await eventually(() => slow.seen.closed === slow.seen.requests);
  await idle(proxy);
  // The endpoint that answered is the one that is logged.
  expect(proxy.log().every((line) => line.includes(`"127.0.0.1:${fast}"`))).toBe(true);
  expect(proxy.load.retriesInFlight(1) + proxy.load.retriesInFlight(2)).toBe(0);
});

test("a POST gets no company, unless it may be repeated", async () => {
  const slow = await silent();
  const { port: fast } = await answering("fast");
  const { port } = await proxyTo([slow.port, fast], { hedge: { afterMs: 20 }, action: { timeout: ms(200) } });
  const statuses = await Promise.all(
    Array.from({ length: 8 }, () => call(port, "/", { method: "POST", body: "x" })),
  );
  expect(statuses.map(({ status }) => status)).toContain(504);
  const headers = { "idempotency-key": "1" };
  for (let i = 0; i < 4; i++)
    expect((await call(port, "/", { method: "POST", body: "x", headers })).body).toBe("fast");
});

test("a failure does not win as long as another try may", async () => {
  const { port: late } = await backend((_request, response) => {
    setTimeout(() => response.end("late"), 120);
  });
  const { port: failing } = await answering("failed", 500);
  const action = { hedgePolicy: { initialRequests: 2 } };
  const { port, proxy } = await proxyTo([late, failing], { action });
  for (let i = 0; i < 6; i++) expect((await call(port)).body).toBe("late");
  await idle(proxy);
});

test("retries come when all tries beside each other have failed, and are hedged again", async () => {
  let requests = 0;
  const app = () =>
    backend((_request, response) => {
      response.statusCode = ++requests <= 2 ? 503 : 200;
      response.end("ok");
    });
  const [{ port: one }, { port: other }] = [await app(), await app()];
  const retryPolicy = { ...DEFAULT_RETRIES, retryOn: "503", numRetries: 3 };
  const action = { hedgePolicy: { initialRequests: 2 }, retryPolicy };
  const { port, proxy } = await proxyTo([one, other], { action, hedge: { afterMs: 10 } });
  expect((await call(port)).body).toBe("ok");
  expect(requests).toBeLessThanOrEqual(4);
  await idle(proxy);
});

test("when all tries fail the last failure is the answer", async () => {
  const { port: one } = await answering("failed", 500);
  const { port: other } = await answering("failed", 500);
  const action = { hedgePolicy: { initialRequests: 2 }, retryPolicy: undefined };
  const { port, proxy } = await proxyTo([one, other], { action });
  const answer = await call(port);
  expect([answer.status, answer.body]).toEqual([500, "failed"]);
  const dead = await proxyTo([await closedPort(), await closedPort()], { action });
  expect((await call(dead.port)).status).toBe(503);
  await idle(proxy);
  await idle(dead.proxy);
});

test("a try that reaches the per-try timeout goes on beside the next, and may still win", async () => {
  let requests = 0;
  const { port: app } = await backend((_request, response) => {
    if (++requests === 1) setTimeout(() => response.end("first"), 150);
  });
  const retryPolicy = { ...DEFAULT_RETRIES, retryOn: "5xx", numRetries: 1, perTryTimeout: ms(40) };
  const action = { timeout: ms(3000), hedgePolicy: { hedgeOnPerTryTimeout: true }, retryPolicy };
  const { port, proxy } = await proxyTo([app], { action });
  expect((await call(port)).body).toBe("first");
  expect(requests).toBe(2);
  await idle(proxy);
});

test("a client that goes takes all tries with it", async () => {
  const [one, other] = [await silent(), await silent()];
  const action = { hedgePolicy: { initialRequests: 2 } };
  const { port, proxy } = await proxyTo([one.port, other.port], { action });
  const controller = new AbortController();
  const gone = call(port, "/", { signal: controller.signal }).catch(() => "gone");
  await eventually(() => one.seen.requests + other.seen.requests === 2);
  controller.abort();
  expect(await gone).toBe("gone");
  await eventually(() => one.seen.closed === 1 && other.seen.closed === 1);
  await idle(proxy);
});

test("requests without company are served as ever beside those with it, and connections are reused", async () => {
  const { port: app } = await answering("ok");
  const { port, proxy } = await proxyTo([app], { hedge: { afterMs: 1000, max: 2 } });
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => call(port, `/${i}`)));
  expect(new Set(answers.map(({ body }) => body))).toEqual(new Set(["ok"]));
  await idle(proxy);
  expect(proxy.metricsText()).not.toMatch(/envoy_cluster_upstream_rq_retry_total\{[^}]*\} [1-9]/);
});

test("of a hedged request it is recorded what became of each of its tries", async () => {
  const slow = await silent();
  const { port: fast } = await answering("fast");
  const { port, proxy } = await proxyTo([slow.port, fast], { hedge: { afterMs: 10 } });
  const stories = new Set<string>();
  for (let i = 0; i < 12; i++) {
    const id = `hedged-${i}`;
    await call(port, "/", { headers: { "x-request-id": id } });
    for (const { record } of proxy.stack.records.find(id)) {
      stories.add(record.tries.map(({ endpoint, outcome }) => `${endpoint} ${outcome}`).join(", "));
    }
  }
  expect(stories).toContain(`127.0.0.1:${slow.port} abandoned, 127.0.0.1:${fast} answered`);
});
