import { anyPack } from "@bufbuild/protobuf/wkt";
import { create } from "@bufbuild/protobuf";
import { eventually } from "@tulle/testkit";
import { HealthCheckEventFileSinkSchema } from "@tulle/xds/gen/envoy/extensions/health_check/event_sinks/file/v3/file_pb.js";
import { afterEach, expect, test } from "vitest";

import { backend, call, closeAll, closedPort, createProxy, type TestProxy } from "../../test/harness.js";
import { CLUSTER } from "../../test/pair.js";
import {
  apiListener,
  cluster,
  endpoints,
  ms,
  routes,
  routeTo,
  type ClusterOptions,
} from "../../test/resources.js";

afterEach(closeAll);

type Check = NonNullable<ClusterOptions["healthCheck"]>;

const TO_FILE = {
  name: "envoy.health_check.event_sink.file",
  typedConfig: anyPack(
    HealthCheckEventFileSinkSchema,
    create(HealthCheckEventFileSinkSchema, { eventLogPath: "/var/log/events.json" }),
  ),
};
const HTTP: Check = {
  timeout: ms(300),
  interval: ms(30),
  noTrafficInterval: ms(30),
  unhealthyThreshold: 2,
  eventLogger: [TO_FILE],
  healthChecker: {
    case: "httpHealthCheck",
    value: { path: "/healthz", retriableStatuses: [{ start: 500n, end: 600n }] },
  },
};

function checking(port: number, check: Check): TestProxy {
  const proxy = createProxy();
  proxy.apply(
    apiListener("reviews:9080", "routes"),
    routes("routes", [routeTo(CLUSTER, { retryPolicy: undefined })]),
    cluster(CLUSTER, { healthCheck: check }),
    endpoints(CLUSTER, [{ port }]),
  );
  return proxy;
}

const EVERY_LINE = ["health_checker_type", "host", "cluster_name", "timestamp"];

/** What happened, without what every line has. */
function events(proxy: TestProxy): unknown[] {
  return proxy.healthLog().map((line) => {
    const fields = Object.entries(JSON.parse(line) as object);
    return Object.fromEntries(fields.filter(([name]) => !EVERY_LINE.includes(name)));
  });
}

test("each turn of an endpoint is a line with Envoy's fields", async () => {
  let status = 200;
  let degraded = false;
  const { port } = await backend((_request, response) => {
    response.statusCode = status;
    if (degraded) response.setHeader("x-envoy-degraded", "1");
    response.end();
  });
  const proxy = checking(port, HTTP);
  await eventually(() => proxy.healthLog().length === 1);
  const [first] = proxy.healthLog();
  expect(JSON.parse(first!)).toEqual({
    health_checker_type: "HTTP",
    host: { socket_address: { protocol: "TCP", address: "127.0.0.1", port_value: port } },
    cluster_name: CLUSTER,
    add_healthy_event: { first_check: true },
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
  });
  status = 503;
  await eventually(() => events(proxy).length === 2);
  status = 200;
  await eventually(() => events(proxy).length === 3);
  degraded = true;
  await eventually(() => events(proxy).length === 4);
  degraded = false;
  await eventually(() => events(proxy).length === 5);
  expect(events(proxy).slice(1)).toEqual([
    { eject_unhealthy_event: { failure_type: "ACTIVE" } },
    { add_healthy_event: { first_check: false } },
    { degraded_healthy_host: {} },
    { no_longer_degraded_host: {} },
  ]);
});

test("a first failure says so, and how nothing was heard; later ones are told where that is wanted", async () => {
  const quiet = checking(await closedPort(), HTTP);
  await eventually(() => quiet.healthLog().length === 2);
  expect(events(quiet)).toEqual([
    { eject_unhealthy_event: { failure_type: "NETWORK" } },
    { health_check_failure_event: { failure_type: "NETWORK", first_check: true } },
  ]);
  const { port: silent } = await backend(() => undefined);
  const loud = checking(silent, { ...HTTP, timeout: ms(50), alwaysLogHealthCheckFailures: true });
  await eventually(() => loud.healthLog().length >= 3);
  expect(events(loud).slice(0, 3)).toEqual([
    { eject_unhealthy_event: { failure_type: "NETWORK_TIMEOUT" } },
    { health_check_failure_event: { failure_type: "NETWORK_TIMEOUT", first_check: true } },
    { health_check_failure_event: { failure_type: "NETWORK_TIMEOUT", first_check: false } },
  ]);
});

test("what an answer to a request says is a passive failure, and passes are told where that is wanted", async () => {
  const { port } = await backend((request, response) => {
    if (request.url !== "/healthz") response.setHeader("x-envoy-immediate-health-check-fail", "1");
    response.end();
  });
  const proxy = checking(port, { ...HTTP, alwaysLogHealthCheckSuccess: true, healthyThreshold: 1000 });
  await eventually(() => proxy.healthLog().length >= 3);
  expect(events(proxy)[1]).toEqual({ successful_health_check_event: {} });
  await call(await proxy.listen("reviews:9080"));
  await eventually(() => proxy.healthLog().some((line) => line.includes("PASSIVE")));
  expect(events(proxy)).toContainEqual({ eject_unhealthy_event: { failure_type: "PASSIVE" } });
});

test("nothing is written without event_logger, and another sink is refused", async () => {
  const { port } = await backend((_request, response) => response.end());
  const proxy = checking(port, { ...HTTP, eventLogger: [], alwaysLogHealthCheckSuccess: true });
  await eventually(() => /envoy_cluster_health_check_success\{[^}]*\} [3-9]/.test(proxy.metricsText()));
  expect(proxy.healthLog()).toEqual([]);
  expect(() => checking(port, { ...HTTP, eventLogger: [{ name: "mine" }] })).toThrow(
    "health_checks[0].event_logger[0]: ",
  );
});
