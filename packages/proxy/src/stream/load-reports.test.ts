import type { Any } from "@bufbuild/protobuf/wkt";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { create } from "@bufbuild/protobuf";
import { ClientSideWeightedRoundRobinSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin_pb.js";
import { OverrideHostSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/override_host/v3/override_host_pb.js";
import { RoundRobinSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.js";
import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { backend, call, closeAll, createProxy } from "../../test/harness.js";
import { apiListener, cluster, endpoints, routes, routeTo } from "../../test/resources.js";

afterEach(closeAll);

const APP = "outbound|80||app";
const listed = (typedConfig: Any) => ({ policies: [{ typedExtensionConfig: { name: "x", typedConfig } }] });

async function proxyTo(ports: readonly number[], policy: Any): Promise<number> {
  const proxy = createProxy();
  proxy.apply(
    cluster(APP, { more: { loadBalancingPolicy: listed(policy) } }),
    endpoints(
      APP,
      ports.map((port) => ({ port })),
    ),
    apiListener("app:80", "r"),
    routes("r", [routeTo(APP)]),
  );
  return proxy.listen("app:80");
}

/** Says of each answer how busy it is, in its head or in its trailers. */
async function reporting(name: string, utilization: number, inTrailers: boolean): Promise<number> {
  const report = `TEXT cpu_utilization=${utilization},rps_fractional=100`;
  const { port } = await backend((request, response) => {
    request.resume();
    if (inTrailers) response.setHeader("trailer", "endpoint-load-metrics");
    else response.setHeader("endpoint-load-metrics", report);
    response.write(name);
    if (inTrailers) response.addTrailers({ "endpoint-load-metrics": report });
    response.end();
  });
  return port;
}

test("reports in answers and in their trailers decide who gets how much", async () => {
  const policy = create(ClientSideWeightedRoundRobinSchema, {
    blackoutPeriod: {},
    weightUpdatePeriod: { nanos: 1e8 },
  });
  const ports = [await reporting("idle", 0.1, false), await reporting("busy", 0.9, true)];
  const port = await proxyTo(ports, anyPack(ClientSideWeightedRoundRobinSchema, policy));
  await eventually(async () => {
    const counts: Record<string, number> = { idle: 0, busy: 0 };
    for (let count = 0; count < 20; count++) {
      const { body } = await call(port, "/", { headers: { te: "trailers" } });
      counts[body]!++;
    }
    return counts["idle"] === 18 && counts["busy"] === 2;
  });
});

test("a request goes to the instance that its header names", async () => {
  const ports = [await reporting("one", 0.5, false), await reporting("two", 0.5, false)];
  const policy = create(OverrideHostSchema, {
    overrideHostSources: [{ header: "x-gateway-destination-endpoint" }],
    fallbackPolicy: listed(anyPack(RoundRobinSchema, create(RoundRobinSchema))),
  });
  const port = await proxyTo(ports, anyPack(OverrideHostSchema, policy));
  for (let count = 0; count < 4; count++) {
    const headers = { "x-gateway-destination-endpoint": `127.0.0.1:1,127.0.0.1:${ports[1]}` };
    expect((await call(port, "/", { headers })).body).toBe("two");
  }
  const bodies = [(await call(port)).body, (await call(port)).body];
  expect(bodies.sort()).toEqual(["one", "two"]);
});
