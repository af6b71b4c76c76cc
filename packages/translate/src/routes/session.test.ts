import { ROUTE_TYPE, LISTENER_TYPE } from "@tulle/xds";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { StatefulSessionPerRouteSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.js";
import { CookieBasedSessionStateSchema } from "@tulle/xds/gen/envoy/extensions/http/stateful_session/cookie/v3/cookie_pb.js";
import { HeaderBasedSessionStateSchema } from "@tulle/xds/gen/envoy/extensions/http/stateful_session/header/v3/header_pb.js";
import { expect, test } from "vitest";
import { CLIENT, GRPC_CLIENT, instance, made, mesh, routesOf } from "../../testdata/mesh.js";
import {
  SESSION_FILTER,
  sessionConfig,
  sessionOfLabels,
  sessionOfPersistence,
  type SessionRequest,
} from "./session.js";

const HOST = "reviews.default.svc.cluster.local:9080";

/** What a session's configuration says, in short. */
function told(request: SessionRequest): string {
  const { override } = anyUnpack(sessionConfig(request), StatefulSessionPerRouteSchema)!;
  if (override.case !== "statefulSession") throw new Error("no session");
  const { sessionState, strict } = override.value;
  const config = sessionState!.typedConfig!;
  const header = anyUnpack(config, HeaderBasedSessionStateSchema);
  const cookie = anyUnpack(config, CookieBasedSessionStateSchema)?.cookie;
  const carrier = header
    ? `header ${header.name}`
    : `cookie ${cookie?.name} ${cookie?.path} ${cookie?.ttl?.seconds}`;
  return strict ? `${carrier} strict` : carrier;
}

test.each([
  [{ "istio.io/persistent-session": "home" }, "cookie home / undefined"],
  [{ "istio.io/persistent-session": "home:/shop" }, "cookie home /shop undefined"],
  [{ "istio.io/persistent-session-header": "X-Home" }, "header x-home"],
  [
    { "istio.io/persistent-session": "a", "tulle.dev/persistent-session-strict": "true" },
    "cookie a / undefined strict",
  ],
])("sessionOfLabels reads %j", (labels, expected) => {
  expect(told(sessionOfLabels(labels)!)).toBe(expected);
});

test.each([{}, { "istio.io/persistent-session": "a b" }, { "istio.io/persistent-session": ":/x" }])(
  "sessionOfLabels finds nothing in %j",
  (labels) => {
    expect(sessionOfLabels(labels)).toBeUndefined();
  },
);

test("sessionOfPersistence reads what a route of the Gateway API asks for", () => {
  const { Cookie, Header } = { Cookie: "Cookie", Header: "Header" } as const;
  expect(told(sessionOfPersistence({}, "route"))).toBe("cookie route / undefined");
  expect(told(sessionOfPersistence({ type: Header, sessionName: "X-S" }, "r"))).toBe("header x-s");
  const permanent = {
    type: Cookie,
    absoluteTimeout: "1h",
    cookieConfig: { lifetimeType: "Permanent" },
  } as const;
  expect(told(sessionOfPersistence(permanent, "r"))).toBe("cookie r / 3600");
});

const STICKY = instance({
  service: "reviews",
  servicePort: 9080,
  labels: { "istio.io/persistent-session": "home:/" },
});

test("routes to a service whose instances ask for sessions have them, with and without rules", () => {
  const rules = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews}}]}]
`;
  for (const yaml of ["", rules]) {
    const [route] = routesOf(mesh([STICKY], yaml), CLIENT, HOST);
    expect(Object.keys(route!.typedPerFilterConfig)).toEqual([SESSION_FILTER]);
  }
  expect(made(mesh([STICKY]), CLIENT, ROUTE_TYPE, HOST).warnings).toEqual([]);
  const text = Buffer.from(made(mesh([STICKY]), CLIENT, LISTENER_TYPE, HOST).resource.bytes).toString(
    "latin1",
  );
  expect(text).toContain(SESSION_FILTER);
});

test("proxyless clients get no sessions", () => {
  const [route] = routesOf(mesh([STICKY]), GRPC_CLIENT, HOST);
  expect(Object.keys(route!.typedPerFilterConfig)).toEqual([]);
});

test("a ServiceEntry asks for sessions by label or annotation", () => {
  const entry = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop, annotations: {istio.io/persistent-session: "cart:/buy"}}
spec:
  hosts: [shop.example]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.1.0.1}]
`;
  const [route] = routesOf(mesh([], entry), CLIENT, "shop.example:80");
  const config = anyUnpack(route!.typedPerFilterConfig[SESSION_FILTER]!, StatefulSessionPerRouteSchema)!;
  expect(config.override.case).toBe("statefulSession");
});
