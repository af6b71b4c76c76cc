/**
 * Nanoseconds of a routing decision, by how much there is to decide among: `node bench/micro/engine.mjs [seconds]`.
 * TULLE_ENGINE names another build of the engine to measure, such as that of another branch.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { pathToFileURL } from "node:url";
import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "../../packages/xds/dist/index.js";
import { ClusterSchema } from "../../packages/xds/dist/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../packages/xds/dist/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../packages/xds/dist/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "../../packages/xds/dist/gen/envoy/config/route/v3/route_pb.js";
import { RouterSchema } from "../../packages/xds/dist/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "../../packages/xds/dist/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { measure } from "./measure.mjs";

const engineFile =
  process.env.TULLE_ENGINE ?? new URL("../../packages/engine/dist/index.js", import.meta.url).pathname;
const { createLoadTable, createSnapshotSource, pick, route } = await import(pathToFileURL(engineFile).href);

const SIZES = [10, 1_000, 10_000];

function change(typeUrl, name, schema, init) {
  return { typeUrl, name, version: "1", bytes: toBinary(schema, create(schema, { name, ...init })) };
}

function listener() {
  const router = {
    name: "router",
    configType: { case: "typedConfig", value: anyPack(RouterSchema, create(RouterSchema)) },
  };
  const manager = create(HttpConnectionManagerSchema, {
    httpFilters: [router],
    routeSpecifier: { case: "rds", value: { routeConfigName: "r" } },
  });
  const apiListener = anyPack(HttpConnectionManagerSchema, manager);
  return change(LISTENER_TYPE, "l", ListenerSchema, { apiListener: { apiListener } });
}

function cluster(name) {
  const endpoint = (index) => ({
    hostIdentifier: {
      case: "endpoint",
      value: {
        address: {
          address: {
            case: "socketAddress",
            value: { address: `10.0.0.${index}`, portSpecifier: { case: "portValue", value: 80 } },
          },
        },
      },
    },
  });
  const lbEndpoints = Array.from({ length: 8 }, (_, index) => endpoint(index));
  return [
    change(CLUSTER_TYPE, name, ClusterSchema, {
      clusterDiscoveryType: { case: "type", value: 3 },
      edsClusterConfig: { edsConfig: { configSourceSpecifier: { case: "ads", value: {} } } },
      lbPolicy: 1,
    }),
    {
      ...change(ENDPOINT_TYPE, name, ClusterLoadAssignmentSchema, {}),
      bytes: toBinary(
        ClusterLoadAssignmentSchema,
        create(ClusterLoadAssignmentSchema, { clusterName: name, endpoints: [{ lbEndpoints }] }),
      ),
    },
  ];
}

const headers = Array.from({ length: 16 }, (_, index) => [`x-header-${index}`, `value ${index}`]).flat();

/** What measures `route` over these virtual hosts. */
function router(virtualHosts, request) {
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  const routes = change(ROUTE_TYPE, "r", RouteConfigurationSchema, { virtualHosts });
  const rejections = source.apply([listener(), routes, ...cluster("a"), ...cluster("b")]);
  if (rejections.length > 0) throw new Error(rejections[0].message);
  const view = { snapshot: source.current, load, now: 0, entropy: 0 };
  const chain = source.current.outbound("l");
  const attempt = { attempts: 0, triedSlots: [] };
  const asked = { method: "GET", path: "/", authority: "h0", scheme: "http", headers, ...request };
  const ns = (decide) =>
    measure(() => {
      view.entropy = (view.entropy + 1) | 0;
      decide();
    });
  return {
    route: () => ns(() => route(view, chain, asked)),
    both: () => ns(() => pick(view, route(view, chain, asked), attempt)),
  };
}

const to = (name, match) => ({
  match,
  action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: name } } },
});
const prefix = (value) => ({ pathSpecifier: { case: "prefix", value } });
const exact = (value) => ({ pathSpecifier: { case: "path", value } });

function print(name, ...figures) {
  console.log(`${name.padEnd(44)}${figures.map((ns) => `${ns.toFixed(0)} ns`.padStart(10)).join("")}`);
}

{
  const canary = (index) => ({
    ...to("b", {
      ...prefix("/"),
      headers: [{ name: `x-canary-${index}`, headerMatchSpecifier: { case: "exactMatch", value: "v2" } }],
    }),
  });
  const weighted = {
    clusters: [
      { name: "a", weight: 90 },
      { name: "b", weight: 10 },
    ],
  };
  const split = {
    match: prefix("/"),
    action: { case: "route", value: { clusterSpecifier: { case: "weightedClusters", value: weighted } } },
  };
  const hosts = Array.from({ length: 20 }, (_, index) => ({
    name: `h${index}`,
    domains: [`h${index}`],
    routes: [...Array.from({ length: 5 }, (__, one) => canary(one)), split],
  }));
  const usual = router(hosts, { authority: "h7" });
  print("20 hosts, 5 header matches, a split: route", usual.route());
  print("the same: route and pick", usual.both());
}

console.log(`${"".padEnd(44)}${SIZES.map((size) => String(size).padStart(10)).join("")}`);
print(
  "one of N hosts",
  ...SIZES.map((size) => {
    const hosts = Array.from({ length: size }, (_, index) => ({
      name: `h${index}`,
      domains: [`h${index}`],
      routes: [to("a", prefix("/"))],
    }));
    return router(hosts, { authority: `h${size - 1}` }).route();
  }),
);
for (const [name, at] of [
  ["one of N exact paths: the first", () => 0],
  ["one of N exact paths: the last", (size) => size - 1],
]) {
  print(
    name,
    ...SIZES.map((size) => {
      const routes = Array.from({ length: size }, (_, index) => to("a", exact(`/api/items/${index}`)));
      return router([{ name: "h", domains: ["h0"], routes }], { path: `/api/items/${at(size)}?q=1` }).route();
    }),
  );
}
print(
  "one of N exact paths: none, so the prefix",
  ...SIZES.map((size) => {
    const routes = Array.from({ length: size }, (_, index) => to("a", exact(`/api/items/${index}`)));
    return router([{ name: "h", domains: ["h0"], routes: [...routes, to("b", prefix("/"))] }], {
      path: "/other",
    }).route();
  }),
);
print(
  "one of N prefixes: the last",
  ...SIZES.map((size) => {
    const routes = Array.from({ length: size }, (_, index) => to("a", prefix(`/api/items-${index}/`)));
    return router([{ name: "h", domains: ["h0"], routes }], { path: `/api/items-${size - 1}/x` }).route();
  }),
);
