import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ROUTE_TYPE } from "@tulle/xds";
import type { Route, RouteAction } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { CookieBasedSessionStateSchema } from "@tulle/xds/gen/envoy/extensions/http/stateful_session/cookie/v3/cookie_pb.js";
import { HeaderBasedSessionStateSchema } from "@tulle/xds/gen/envoy/extensions/http/stateful_session/header/v3/header_pb.js";
import { StatefulSessionPerRouteSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.js";
import { SESSION_FILTER } from "../routes/session.js";
import { CorsPolicySchema } from "@tulle/xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { expect, test } from "vitest";
import { clientOf } from "../../testdata/decide.js";
import { OTHER_CLIENT, REVIEWS, routeYaml, shop, SHOP_CLIENT, to } from "../../testdata/gateway-api.js";
import { CLIENT, instance, made, mesh, routesOf } from "../../testdata/mesh.js";

const NAME = "reviews.shop.svc.cluster.local:9080";
const V1 = to("reviews-v1");

function routes(yaml: string): Route[] {
  return routesOf(mesh(shop(), yaml), SHOP_CLIENT, NAME);
}

function action(fields: string): RouteAction {
  const [route] = routes(routeYaml(`[{backendRefs: [${V1}], ${fields}}]`));
  if (route?.action.case !== "route") throw new Error("the first route does not forward");
  return route.action.value;
}

test("a route says which object and rule it came from", () => {
  const [route] = routes(routeYaml(`[{backendRefs: [${V1}]}]`));
  expect(route?.metadata?.filterMetadata).toEqual({
    istio: { config: "/apis/gateway.networking.k8s.io/v1/namespaces/shop/http-route/reviews" },
    "tulle.dev": { rule: "rules[0]" },
  });
  expect(
    made(mesh(shop(), routeYaml(`[{backendRefs: [${V1}]}]`)), SHOP_CLIENT, ROUTE_TYPE, NAME).owners,
  ).toEqual(["HTTPRoute/shop/reviews"]);
});

test.each<[fields: string, timeoutMs: number | undefined, perTryMs: number | undefined, retries: number]>([
  ["", 0, undefined, 2],
  ["timeouts: {request: 2s}", 2000, undefined, 2],
  ["timeouts: {request: 0s}", 0, undefined, 2],
  ["timeouts: {request: 2s, backendRequest: 500ms}", 2000, 500, 2],
  ["timeouts: {request: 2s, backendRequest: 0s}", 2000, undefined, 2],
  ["timeouts: {backendRequest: 1s}, retry: {attempts: 4}", 0, 1000, 4],
  ["timeouts: {request: 2s, backendRequest: 500ms}, retry: {attempts: 0}", 500, undefined, 0],
])("timeouts of {%s}", (fields, timeoutMs, perTryMs, retries) => {
  const { timeout, retryPolicy } = action(fields);
  const ms = (duration: typeof timeout) =>
    duration && Number(duration.seconds) * 1000 + duration.nanos / 1_000_000;
  expect(ms(timeout)).toBe(timeoutMs);
  expect(ms(retryPolicy?.perTryTimeout)).toBe(perTryMs);
  expect(retryPolicy?.numRetries ?? 0).toBe(retries);
});

test("retries have the codes of the rule, beside what is safe", () => {
  expect(action("retry: {codes: [500, 404], attempts: 3, backoff: 20ms}").retryPolicy).toMatchObject({
    retryOn:
      "connect-failure,refused-stream,unavailable,cancelled,reset-before-request,retriable-status-codes",
    retriableStatusCodes: [500, 404],
    numRetries: 3,
    retryBackOff: { baseInterval: { nanos: 20_000_000 }, maxInterval: { nanos: 200_000_000 } },
  });
  expect(action("retry: {codes: [503]}, timeouts: {backendRequest: 1s}").retryPolicy?.retryOn).toContain(
    "reset,",
  );
});

test("requests are mirrored to every mirror that exists, in its share", () => {
  const mirror = (name: string, share: string) =>
    `{type: RequestMirror, requestMirror: {backendRef: ${to(name)}${share}}}`;
  const { requestMirrorPolicies } = action(
    `filters: [${mirror("reviews-v2", "")}, ${mirror("nobody", "")}, ${mirror("reviews", ", fraction: {numerator: 1, denominator: 8}")}]`,
  );
  expect(
    requestMirrorPolicies.map(({ cluster, runtimeFraction }) => [
      cluster,
      runtimeFraction?.defaultValue?.numerator,
    ]),
  ).toEqual([
    ["outbound|9080||reviews-v2.shop.svc.cluster.local", 1_000_000],
    ["outbound|9080||reviews.shop.svc.cluster.local", 125_000],
  ]);
});

test("CORS goes to the CORS filter", () => {
  const cors =
    "{allowOrigins: ['https://a.example', 'https://*.b.example'], allowMethods: [GET, PUT], allowCredentials: true}";
  const [route] = routes(routeYaml(`[{filters: [{type: CORS, cors: ${cors}}], backendRefs: [${V1}]}]`));
  const config = route?.typedPerFilterConfig["envoy.filters.http.cors"];
  const policy = config && anyUnpack(config, CorsPolicySchema);
  expect(policy?.allowOriginStringMatch.map(({ matchPattern }) => matchPattern)).toMatchObject([
    { case: "exact", value: "https://a.example" },
    { case: "safeRegex", value: { regex: "https://.*\\.b\\.example" } },
  ]);
  expect(policy).toMatchObject({ allowMethods: "GET,PUT", maxAge: "5", allowCredentials: true });
});

test("sessions are bound to instances, and what of them is not carried out is said", () => {
  const session = "{type: Header, sessionName: X-Session, idleTimeout: 5m}";
  const yaml = routeYaml(
    `[{sessionPersistence: ${session}, backendRefs: [${V1}]}, {sessionPersistence: {absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}}, backendRefs: [${V1}]}]`,
  );
  const states = routes(yaml).map(({ typedPerFilterConfig }) => {
    const config = typedPerFilterConfig[SESSION_FILTER];
    const { override } = (config && anyUnpack(config, StatefulSessionPerRouteSchema)) ?? {};
    const state = override?.case === "statefulSession" ? override.value.sessionState?.typedConfig : undefined;
    return (
      (state && anyUnpack(state, HeaderBasedSessionStateSchema)?.name) ??
      (state && anyUnpack(state, CookieBasedSessionStateSchema)?.cookie)
    );
  });
  expect(states).toMatchObject([
    "x-session",
    { name: "tulle-session-reviews-1", path: "/", ttl: { seconds: 3600n } },
  ]);
  expect(made(mesh(shop(), yaml), SHOP_CLIENT, ROUTE_TYPE, NAME).warnings).toEqual([
    "HTTPRoute shop/reviews rules[0].sessionPersistence.idleTimeout has no effect: sessions are not kept anywhere",
  ]);
});

const FOREIGN = [...shop(), instance({ service: "vault", namespace: "bank", servicePort: 9080 })];
const TO_VAULT = routeYaml(`[{backendRefs: [${to("vault", "namespace: bank")}]}]`);

function grant(from: string, toWhat: string, namespace = "bank"): string {
  return `---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: ${namespace}}
spec: {from: [${from}], to: [${toWhat}]}
`;
}

const FROM_SHOP = "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}";
const SERVICES = "{group: '', kind: Service}";

test.each<[string, string, boolean]>([
  ["no grant", "", false],
  ["a grant for all services", grant(FROM_SHOP, SERVICES), true],
  ["a grant for this service", grant(FROM_SHOP, "{group: '', kind: Service, name: vault}"), true],
  ["a grant for another service", grant(FROM_SHOP, "{group: '', kind: Service, name: safe}"), false],
  ["a grant for another kind", grant(FROM_SHOP, "{group: '', kind: Secret}"), false],
  ["a grant to another namespace", grant(FROM_SHOP.replace("shop", "other"), SERVICES), false],
  ["a grant to another kind of route", grant(FROM_SHOP.replace("HTTP", "GRPC"), SERVICES), false],
  ["a grant elsewhere", grant(FROM_SHOP, SERVICES, "shop"), false],
])("a service of another namespace with %s", (_what, yaml, permitted) => {
  const client = clientOf(mesh(FOREIGN, TO_VAULT + yaml), SHOP_CLIENT, REVIEWS);
  expect(client.decide()).toMatchObject(permitted ? { backend: "vault.bank:9080" } : { status: 500 });
});

test("a consumer route may name services of the namespace that it is bound to, without a grant", () => {
  const yaml = routeYaml(`[{backendRefs: [${to("reviews-v2", "namespace: shop")}]}]`, { namespace: "other" });
  expect(clientOf(mesh(FOREIGN, yaml), OTHER_CLIENT, REVIEWS).decide().backend).toBe("reviews-v2.shop:9080");
});

const ENTRY = `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: payments}
spec:
  hosts: [api.payments.example, "*.wild.example"]
  resolution: STATIC
  location: MESH_EXTERNAL
  endpoints: [{address: 192.0.2.1}]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]
`;

test.each([
  ["{group: networking.istio.io, kind: ServiceEntry, name: payments}", "api.payments.example"],
  ["{group: networking.istio.io, kind: ServiceEntry, name: payments}", "a.wild.example"],
  [
    "{group: networking.istio.io, kind: ServiceEntry, name: payments, sectionName: http}",
    "api.payments.example",
  ],
  ["{group: networking.istio.io, kind: Hostname, name: api.payments.example}", "api.payments.example"],
])("a route bound to %s holds for calls to %s", (parent, host) => {
  const backend = "{group: networking.istio.io, kind: Hostname, name: reviews-v1.default, port: 9080}";
  const yaml = `${ENTRY}${routeYaml(`[{backendRefs: [${backend}]}]`, { namespace: "default", parent })}`;
  const at = mesh([instance({ service: "reviews-v1", servicePort: 9080 })], yaml);
  expect(clientOf(at, CLIENT, host).decide().backend).toBe("reviews-v1.default:9080");
});

test("a backend whose port carries bytes takes no requests", () => {
  const backend = "{group: networking.istio.io, kind: Hostname, name: api.payments.example, port: 443}";
  const client = clientOf(
    mesh(shop(), ENTRY + routeYaml(`[{backendRefs: [${backend}]}]`)),
    SHOP_CLIENT,
    REVIEWS,
  );
  expect(client.decide().status).toBe(500);
});

test("http rules of a VirtualService hold instead, and both objects' status says so", () => {
  const yaml = `${routeYaml(`[{backendRefs: [${V1}]}]`)}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews-v2, port: {number: 9080}}}]}]}
`;
  const at = mesh(shop(), yaml);
  expect(clientOf(at, SHOP_CLIENT, REVIEWS).decide().backend).toBe("reviews-v2.shop:9080");
  const { warnings, owners } = made(at, SHOP_CLIENT, ROUTE_TYPE, NAME);
  expect(warnings).toEqual([
    `HTTPRoute shop/reviews has no effect on ${NAME}: VirtualService shop/reviews rules the same host`,
  ]);
  expect(owners).toEqual(["HTTPRoute/shop/reviews", "VirtualService/shop/reviews"]);
});
