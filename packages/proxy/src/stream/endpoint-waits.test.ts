import { UNHEALTHY_EJECTED } from "@tulle/engine";
import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { backend, call, closeAll, createProxy, type Answer, type TestProxy } from "../../test/harness.js";
import { apiListener, cluster, endpoints, ms, routes, routeTo } from "../../test/resources.js";

afterEach(closeAll);

/** `reviews:9080` whose requests wait, with one instance that is taken out or put back. */
async function service(
  wait: { timeoutMs: number; maxRequests: number },
  action: Record<string, unknown> = {},
): Promise<{ proxy: TestProxy; ask: (options?: object) => Promise<Answer>; ready: (on: boolean) => void }> {
  const { port: app } = await backend((request, response) => request.pipe(response));
  const proxy = createProxy();
  proxy.apply(
    apiListener("reviews:9080", "reviews:9080"),
    routes("reviews:9080", [routeTo("reviews", action)]),
    cluster("reviews", { more: { metadata: { filterMetadata: { "tulle.dev": { endpointWait: wait } } } } }),
    endpoints("reviews", [{ port: app }]),
  );
  const port = await proxy.listen("reviews:9080");
  const { slot } = proxy.configuration.current.cluster("reviews")!.endpoints[0]!;
  const ready = (on: boolean): void => proxy.load.setUnhealthy(slot, UNHEALTHY_EJECTED, !on);
  ready(false);
  return { proxy, ask: (options = {}) => call(port, "/", options), ready };
}

const waiting = (proxy: TestProxy): string | undefined =>
  /tulle_endpoint_wait_active\{cluster_name="reviews"\} (\d+)/.exec(proxy.metricsText())?.[1];
const outcomes = (proxy: TestProxy, outcome: string): string | undefined =>
  new RegExp(
    `tulle_endpoint_wait_requests_total\\{cluster_name="reviews",outcome="${outcome}"\\} (\\d+)`,
  ).exec(proxy.metricsText())?.[1];
const details = (proxy: TestProxy): (string | undefined)[] =>
  proxy.log().map((line) => / (503 \S+ \S+) /.exec(line)?.[1]);

test("a request waits for an endpoint, with its body, and goes there as soon as one is ready", async () => {
  const { proxy, ask, ready } = await service({ timeoutMs: 10_000, maxRequests: 10 });
  const answers = [1, 2, 3].map((each) => ask({ method: "POST", body: `body ${each}` }));
  await eventually(() => waiting(proxy) === "3");
  ready(true);
  expect((await Promise.all(answers)).map(({ body }) => body)).toEqual(["body 1", "body 2", "body 3"]);
  expect([waiting(proxy), outcomes(proxy, "waited")]).toEqual(["0", "3"]);
});

test("one that comes with the configuration is taken, too", async () => {
  const { proxy, ask } = await service({ timeoutMs: 10_000, maxRequests: 10 });
  const { port: other } = await backend((_request, response) => response.end("other"));
  const answer = ask();
  await eventually(() => waiting(proxy) === "1");
  proxy.apply(endpoints("reviews", [{ port: other }]));
  expect((await answer).body).toBe("other");
});

test("after the time all that wait fail, and those that follow fail at once, until an endpoint is ready", async () => {
  const { proxy, ask, ready } = await service({ timeoutMs: 150, maxRequests: 10 });
  const began = performance.now();
  const waited = await Promise.all([ask(), ask()]);
  expect(performance.now() - began).toBeGreaterThanOrEqual(150);
  expect(waited.map(({ status }) => status)).toEqual([503, 503]);
  expect(waited[0]!.body).toContain("waitForEndpoint");
  expect((await ask()).body).toContain("requests fail at once");
  expect(details(proxy)).toEqual([
    "503 UH no_healthy_upstream{endpoint_wait_timeout}",
    "503 UH no_healthy_upstream{endpoint_wait_timeout}",
    "503 UH no_healthy_upstream{fail_fast}",
  ]);
  expect([outcomes(proxy, "timeout"), outcomes(proxy, "fail_fast")]).toEqual(["2", "1"]);
  ready(true);
  expect((await ask()).status).toBe(200);
  ready(false);
  const again = ask();
  await eventually(() => waiting(proxy) === "1");
  ready(true);
  expect((await again).status).toBe(200);
});

test("no more than may wait do, and a client that leaves makes room", async () => {
  const { proxy, ask, ready } = await service({ timeoutMs: 10_000, maxRequests: 1 });
  const abort = new AbortController();
  const left = ask({ signal: abort.signal });
  const gone = left.catch((error: Error) => error.name);
  await eventually(() => waiting(proxy) === "1");
  expect((await ask()).status).toBe(503);
  expect(details(proxy)).toEqual(["503 UO overflow{waiting_for_endpoint}"]);
  abort.abort();
  expect(await gone).toBe("AbortError");
  await eventually(() => waiting(proxy) === "0");
  const answer = ask();
  await eventually(() => waiting(proxy) === "1");
  ready(true);
  expect((await answer).status).toBe(200);
});

test("a request's own time ends its wait", async () => {
  const { proxy, ask } = await service({ timeoutMs: 10_000, maxRequests: 10 }, { timeout: ms(100) });
  const { status, body } = await ask();
  expect([status, body]).toEqual([504, expect.stringContaining("timeout of 100 ms")]);
  expect(waiting(proxy)).toBe("0");
});

test("settings that cannot be are refused", () => {
  const proxy = createProxy();
  const endpointWait = { timeoutMs: 0, maxRequests: 1 };
  expect(() =>
    proxy.apply(
      cluster("reviews", { more: { metadata: { filterMetadata: { "tulle.dev": { endpointWait } } } } }),
    ),
  ).toThrow(/endpointWait/);
});
