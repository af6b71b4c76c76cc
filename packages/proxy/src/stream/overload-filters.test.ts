import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { eventually } from "@tulle/testkit";
import { AdaptiveConcurrencySchema } from "@tulle/xds/gen/envoy/extensions/filters/http/adaptive_concurrency/v3/adaptive_concurrency_pb.js";
import { AdmissionControlSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/admission_control/v3/admission_control_pb.js";
import { RouterSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import { afterEach, expect, test } from "vitest";

import { backend, call, closeAll, createProxy, type TestProxy } from "../../test/harness.js";
import { apiListener, cluster, endpoints, ms, routes, routeTo } from "../../test/resources.js";

afterEach(closeAll);

const MAIN = "outbound|80||main";

async function proxyTo<Desc extends DescMessage>(
  port: number,
  schema: Desc,
  init: MessageInitShape<Desc>,
): Promise<[TestProxy, number]> {
  const filter = <Of extends DescMessage>(name: string, of: Of, config: MessageInitShape<Of>) => ({
    name,
    configType: { case: "typedConfig" as const, value: anyPack(of, create(of, config)) },
  });
  const proxy = createProxy();
  proxy.apply(
    cluster(MAIN),
    endpoints(MAIN, [{ port }]),
    apiListener("main:80", "r", {
      httpFilters: [filter("f", schema, init), filter("router", RouterSchema as DescMessage, {})],
    }),
    routes("r", [routeTo(MAIN)]),
  );
  return [proxy, await proxy.listen("main:80")];
}

const metric = (proxy: TestProxy, name: string): number =>
  Number(new RegExp(`^${name}\\{name="main:80/f"\\} (\\S+)$`, "m").exec(proxy.metricsText())?.[1]);
const CONCURRENCY = "envoy_http_adaptive_concurrency_gradient_controller";
const CONTROL = "envoy_http_admission_control";

const TWO_AT_A_TIME: MessageInitShape<typeof AdaptiveConcurrencySchema> = {
  concurrencyControllerConfig: {
    case: "gradientControllerConfig",
    value: {
      concurrencyLimitParams: { concurrencyUpdateInterval: ms(100) },
      minRttCalcParams: { interval: ms(60_000), minConcurrency: 2 },
    },
  },
};

test("a request beyond the adaptive limit is refused, and let through when another one is over", async () => {
  const held: (() => void)[] = [];
  const { port: main } = await backend((_request, response) => {
    held.push(() => response.end("ok"));
  });
  const [proxy, port] = await proxyTo(main, AdaptiveConcurrencySchema, TWO_AT_A_TIME);
  const first = call(port);
  const second = call(port);
  await eventually(() => held.length === 2);
  const refused = await call(port);
  expect(refused).toMatchObject({ status: 503, body: "reached concurrency limit" });
  await eventually(() => proxy.log().join("\n").includes("reached_concurrency_limit"));
  expect(metric(proxy, `${CONCURRENCY}_rq_blocked`)).toBe(1);
  expect(metric(proxy, `${CONCURRENCY}_concurrency_limit`)).toBe(2);
  held.shift()!();
  expect((await first).status).toBe(200);
  const third = call(port);
  await eventually(() => held.length === 2);
  for (const release of held) release();
  expect([(await second).status, (await third).status]).toEqual([200, 200]);
});

test("a client that leaves gives its place back", async () => {
  let asked = 0;
  const { port: main } = await backend(() => asked++);
  const [proxy, port] = await proxyTo(main, AdaptiveConcurrencySchema, TWO_AT_A_TIME);
  const leaving = new AbortController();
  const gone = [1, 2].map(() => call(port, "/", { signal: leaving.signal }).catch(() => "left"));
  await eventually(() => asked === 2);
  const [controller] = proxy.load.controllers.gradients();
  expect(controller?.inFlight).toBe(2);
  leaving.abort();
  expect(await Promise.all(gone)).toEqual(["left", "left"]);
  await eventually(() => controller?.inFlight === 0);
});

test("requests to a service that fails are held back", async () => {
  let asked = 0;
  const { port: main } = await backend((_request, response) => {
    asked++;
    response.writeHead(500).end("no");
  });
  const [proxy, port] = await proxyTo(main, AdmissionControlSchema, {
    evaluationCriteria: { case: "successCriteria", value: {} },
  });
  const statuses: number[] = [];
  for (let request = 0; request < 60; request++) statuses.push((await call(port)).status);
  const refused = statuses.filter((status) => status === 503).length;
  expect(refused + asked).toBe(60);
  expect(refused).toBeGreaterThan(20);
  expect(metric(proxy, `${CONTROL}_rq_rejected`)).toBe(refused);
  expect(metric(proxy, `${CONTROL}_rq_failure`)).toBe(asked);
  expect(proxy.log().join("\n")).toContain("denied_by_admission_control");
});
