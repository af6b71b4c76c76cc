import { ROUTE_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";
import { clientOf } from "../../testdata/decide.js";
import { REVIEWS, routeYaml, shop, SHOP_CLIENT, to } from "../../testdata/gateway-api.js";
import { grpcRefusal } from "../../testdata/grpc-js-xds.js";
import { made, mesh, routesOf } from "../../testdata/mesh.js";

const NAME = "reviews.shop.svc.cluster.local:9080";
const PROXYLESS = { ...SHOP_CLIENT, dialect: "grpc" as const };

function route(rules: string): string {
  return routeYaml(rules, { kind: "GRPCRoute" });
}

test.each<[match: string, calls: readonly string[], others: readonly string[]]>([
  [
    "{service: shop.Reviews, method: Get}",
    ["/shop.Reviews/Get"],
    ["/shop.Reviews/GetAll", "/shop.Review/Get"],
  ],
  ["{service: shop.Reviews}", ["/shop.Reviews/Get", "/shop.Reviews/Set"], ["/shop.Reviews2/Get"]],
  ["{method: Get}", ["/shop.Reviews/Get", "/a.B/Get"], ["/a.B/Set", "/a/b/Get"]],
  [
    "{type: RegularExpression, service: 'shop[.].*', method: 'Get|Set'}",
    ["/shop.Reviews/Get", "/shop.A/Set"],
    ["/shop/Get", "/shop.A/GetAll"],
  ],
  ["{type: RegularExpression, method: 'G.*'}", ["/a.B/Get"], ["/a.B/Set"]],
])("a match of %s takes its calls and no others", (match, calls, others) => {
  const yaml = route(`[{matches: [{method: ${match}}], backendRefs: [${to("reviews-v1")}]}]`);
  const client = clientOf(mesh(shop(), yaml), SHOP_CLIENT, REVIEWS);
  for (const path of calls) expect(client.decide({ path }).backend, path).toBe("reviews-v1.shop:9080");
  for (const path of others) expect(client.decide({ path }).status, path).toBe(404);
});

test("calls take the longest service, then the longest method, then the most headers", () => {
  const rules = [
    ["any", "{}"],
    ["headers", "{headers: [{name: x, value: '1'}, {name: y, value: '1'}]}"],
    ["header", "{headers: [{name: x, value: '1'}]}"],
    ["pattern", "{method: {type: RegularExpression, service: '[a-zA-Z.]+', method: '[a-zA-Z]+'}}"],
    ["method", "{method: {method: Get}}"],
    ["service", "{method: {service: shop.Reviews}}"],
    ["both", "{method: {service: shop.Reviews, method: Get}}"],
  ].map(([name, match]) => `{name: ${name}, matches: [${match}], backendRefs: [${to("reviews-v1")}]}`);
  const client = clientOf(mesh(shop(), route(`[${rules.join(", ")}]`)), SHOP_CLIENT, REVIEWS);
  const routed = (path: string, ...headers: string[]) => client.decide({ path, headers }).route;
  expect(routed("/shop.Reviews/Get")).toBe("both");
  expect(routed("/shop.Reviews/Set", "x", "1")).toBe("service");
  expect(routed("/a.B/Get", "x", "1")).toBe("method");
  expect(routed("/a.B/Set", "x", "1", "y", "1")).toBe("pattern");
  expect(routed("/a-b/Set", "x", "1", "y", "1")).toBe("headers");
  expect(routed("/a-b/Set", "x", "1")).toBe("header");
  expect(routed("/a-b/Set")).toBe("any");
});

test("a GRPCRoute holds alone where an HTTPRoute is bound to the same port", () => {
  const yaml =
    route(`[{matches: [{method: {service: a.B}}], backendRefs: [${to("reviews-v1")}]}]`) +
    routeYaml(`[{backendRefs: [${to("reviews-v2")}]}]`);
  const client = clientOf(mesh(shop(), yaml), SHOP_CLIENT, REVIEWS);
  expect(client.decide({ path: "/a.B/C" }).backend).toBe("reviews-v1.shop:9080");
  expect(client.decide({ path: "/x" }).status).toBe(404);
});

test("calls without a backend are UNAVAILABLE", () => {
  const yaml = route(`[{backendRefs: [${to("nobody")}]}]`);
  expect(clientOf(mesh(shop(), yaml), SHOP_CLIENT, REVIEWS).decide({ path: "/a.B/C" }).status).toBe(503);
});

test("proxyless clients get GRPCRoutes, and HTTPRoutes as far as they know their conditions", () => {
  const yaml = route(`[
    {name: get, matches: [{method: {service: shop.Reviews, method: Get}}], backendRefs: [${to("reviews-v2")}]},
    {name: lost, matches: [{method: {service: shop.Gone}}], backendRefs: [${to("nobody")}]},
    {name: half, matches: [{method: {service: shop.Half}}], backendRefs: [${to("reviews-v1")}, ${to("nobody")}]},
    {name: rest, backendRefs: [${to("reviews-v1")}]},
  ]`);
  const routes = routesOf(mesh(shop(), yaml), PROXYLESS, NAME);
  const seen = routes.map(({ name, match, action }) => [
    name,
    match?.pathSpecifier.value,
    match?.runtimeFraction?.defaultValue?.numerator,
    action.case === "route" ? action.value.clusterSpecifier.value : action.case,
  ]);
  expect(seen).toEqual([
    ["get", "/shop.Reviews/Get", undefined, "outbound|9080||reviews-v2.shop.svc.cluster.local"],
    ["lost", "/shop.Gone/", undefined, "outbound|1||::"],
    ["half", "/shop.Half/", 500_000, "outbound|1||::"],
    ["half", "/shop.Half/", undefined, "outbound|9080||reviews-v1.shop.svc.cluster.local"],
    ["rest", "/", undefined, "outbound|9080||reviews-v1.shop.svc.cluster.local"],
  ]);
  const http = routeYaml(`[{matches: [{path: {value: /shop.Reviews}}], backendRefs: [${to("reviews-v1")}]}]`);
  const [segments] = routesOf(mesh(shop(), http), PROXYLESS, NAME);
  expect(segments?.match?.pathSpecifier).toEqual({ case: "prefix", value: "/shop.Reviews/" });
  for (const at of [yaml, http]) {
    const { resource } = made(mesh(shop(), at), PROXYLESS, ROUTE_TYPE, NAME);
    expect(grpcRefusal(resource)).toBeUndefined();
  }
});
