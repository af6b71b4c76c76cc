import type { MessageInitShape } from "@bufbuild/protobuf";
import { LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import type {
  InternalRedirectPolicySchema,
  RouteSchema,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { AllowListedRoutesConfigSchema } from "@tulle/xds/gen/envoy/extensions/internal_redirect/allow_listed_routes/v3/allow_listed_routes_config_pb.js";
import { PreviousRoutesConfigSchema } from "@tulle/xds/gen/envoy/extensions/internal_redirect/previous_routes/v3/previous_routes_config_pb.js";
import { SafeCrossSchemeConfigSchema } from "@tulle/xds/gen/envoy/extensions/internal_redirect/safe_cross_scheme/v3/safe_cross_scheme_config_pb.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { EngineRequest, Plan } from "../contract.js";
import { createLoadTable } from "../load/load-table.js";
import type { HttpChain } from "../snapshot/contract.js";
import { createSnapshotSource } from "../snapshot/snapshot-source.js";
import { change, manager, packed, request } from "../testing/resources.js";
import {
  internalRedirect,
  noteRedirect,
  type FollowedRedirects,
  type Redirection,
} from "./internal-redirect.js";
import { route } from "./route.js";

type Policy = MessageInitShape<typeof InternalRedirectPolicySchema>;

/** The host `shop` with the routes `/a…` → a, `/b…` → b; the host `*.other` with a reply. Both follow by `policy`. */
function mesh(policy: Policy) {
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  const to = (name: string): MessageInitShape<typeof RouteSchema> => ({
    name,
    match: { pathSpecifier: { case: "prefix", value: `/${name}` } },
    action: {
      case: "route",
      value: { clusterSpecifier: { case: "cluster", value: name }, internalRedirectPolicy: policy },
    },
  });
  const gone: MessageInitShape<typeof RouteSchema> = {
    name: "gone",
    match: { pathSpecifier: { case: "prefix", value: "/" } },
    action: { case: "directResponse", value: { status: 410 } },
  };
  const table = change(ROUTE_TYPE, "r", RouteConfigurationSchema, {
    name: "r",
    virtualHosts: [
      { name: "shop", domains: ["shop", "shop:80"], routes: [to("a"), to("b")] },
      { name: "other", domains: ["x.other"], routes: [gone] },
    ],
  });
  const http = manager({
    normalizePath: true,
    routeSpecifier: { case: "rds", value: { routeConfigName: "r" } },
  });
  const listener = change(LISTENER_TYPE, "l", ListenerSchema, {
    name: "l",
    apiListener: { apiListener: http },
  });
  const rejections = source.apply([listener, table]);
  const chain = source.current.outbound("l") as HttpChain;
  const view = { snapshot: source.current, load, now: 0, entropy: 0 };
  return {
    rejections,
    follow: (
      asked: Partial<EngineRequest>,
      status: number,
      location: string | undefined,
      followed: FollowedRedirects = { count: 0, ways: [] },
    ) => {
      const from = request({ authority: "shop", path: "/a/1", ...asked });
      const plan = route(view, chain, from) as Plan;
      const headers = ["x-new", "1", ...(location === undefined ? [] : ["Location", location])];
      const found = internalRedirect(view, chain, plan, from, { status, headers }, followed);
      if (typeof found !== "string") noteRedirect(followed, plan, found);
      return found;
    },
  };
}

function target(found: Redirection | string): string {
  if (typeof found === "string") return found;
  const { method, scheme, authority, path } = found.request;
  return `${method} ${scheme}://${authority}${path} → ${found.routed.routeName}`;
}

test.each([
  ["http://shop/b/2?q=1#top", "GET http://shop/b/2?q=1 → b"],
  ["HTTP://SHOP:80/b", "GET http://shop:80/b → b"],
  ["/b?x", "GET http://shop/b?x → b"],
  ["//shop/b", "GET http://shop/b → b"],
  ["http://x.other", "GET http://x.other/ → gone"],
  ["http://x.other?q", "GET http://x.other/?q → gone"],
  ["http://shop/b/../a", "GET http://shop/a → a"],
  ["https://shop/b", "it leads to another scheme"],
  ["http://elsewhere/b", "there is no route to where it leads"],
  ["http://shop/c", "there is no route to where it leads"],
  ["b", "its location is no http URL"],
  ["ftp://shop/b", "its location is no http URL"],
  ["http://user@shop/b", "its location is no http URL"],
  ["http:///b", "its location is no http URL"],
  ["/b\\c", "its location is no http URL"],
  [undefined, "its location is no http URL"],
])("internalRedirect to %s: %s", (location, expected) => {
  const { follow } = mesh({});
  expect(target(follow({}, 302, location))).toBe(expected);
});

test("internalRedirect follows the statuses that are listed, by default 302 alone", () => {
  expect(target(mesh({}).follow({}, 301, "/b"))).toBe("the route follows no such answer");
  const listed = mesh({ redirectResponseCodes: [307, 418] });
  expect(target(listed.follow({ method: "POST" }, 307, "/b"))).toBe("POST http://shop/b → b");
  expect(target(listed.follow({}, 302, "/b"))).toBe("the route follows no such answer");
  expect(target(listed.follow({}, 418, "/b"))).toBe("the route follows no such answer");
});

test("internalRedirect asks for what a 303 leads to by GET, without the body and its fields", () => {
  const headers = ["Host", "shop", "Content-Length", "3", "content-type", "text/plain", "x-user", "u"];
  const found = mesh({ redirectResponseCodes: [303] }).follow({ method: "POST", headers }, 303, "/b");
  expect(found).toMatchObject({
    dropsBody: true,
    request: {
      method: "GET",
      headers: ["Host", "shop", "x-user", "u", "x-envoy-original-url", "http://shop/a/1"],
    },
  });
  expect(mesh({ redirectResponseCodes: [303] }).follow({ method: "HEAD" }, 303, "/b")).toMatchObject({
    dropsBody: false,
    request: { method: "HEAD" },
  });
});

test("internalRedirect follows so many redirects of one request, by default one", () => {
  const followed = { count: 0, ways: [] };
  const two = mesh({ maxInternalRedirects: 2 });
  expect(target(two.follow({}, 302, "/b", followed))).toContain("→ b");
  expect(target(two.follow({ path: "/b" }, 302, "/a", followed))).toContain("→ a");
  expect(target(two.follow({}, 302, "/b", followed))).toBe("2 redirects have been followed already");
  expect(target(mesh({}).follow({}, 302, "/b", { count: 1, ways: [] }))).toBe(
    "1 redirects have been followed already",
  );
  expect(target(mesh({ maxInternalRedirects: 0 }).follow({}, 302, "/b"))).toContain("0 redirects");
});

test("internalRedirect crosses schemes where it may, and with safe_cross_scheme never to https", () => {
  expect(target(mesh({ allowCrossSchemeRedirect: true }).follow({}, 302, "https://shop/b"))).toBe(
    "GET https://shop/b → b",
  );
  const safe = mesh({
    allowCrossSchemeRedirect: true,
    predicates: [{ name: "safe", typedConfig: packed(SafeCrossSchemeConfigSchema) }],
  });
  expect(target(safe.follow({}, 302, "https://shop/b"))).toBe(
    "it leads to a scheme that the client did not use",
  );
  expect(target(safe.follow({ scheme: "https" }, 302, "http://shop/b"))).toBe("GET http://shop/b → b");
});

test("internalRedirect with previous_routes leads to a route once from the same route", () => {
  const followed = { count: 0, ways: [] };
  const once = mesh({
    maxInternalRedirects: 9,
    predicates: [{ name: "previous", typedConfig: packed(PreviousRoutesConfigSchema) }],
  });
  expect(target(once.follow({}, 302, "/b", followed))).toContain("→ b");
  expect(target(once.follow({ path: "/b" }, 302, "/a/2", followed))).toContain("→ a");
  expect(target(once.follow({ path: "/a/2" }, 302, "/b", followed))).toBe(
    "route b has been redirected to before",
  );
});

test("internalRedirect leads to allowed routes only, and copies fields of the answer", () => {
  const allowed = packed(AllowListedRoutesConfigSchema, { allowedRouteNames: ["b"] });
  const listed = mesh({
    predicates: [{ name: "allowed", typedConfig: allowed }],
    responseHeadersToCopy: ["X-New", "x-old"],
  });
  expect(target(listed.follow({}, 302, "/a/2"))).toBe("it leads to route a, which is not allowed");
  expect(listed.follow({ headers: ["x-old", "0", "x-own", "2"] }, 302, "/b")).toMatchObject({
    request: { headers: ["x-own", "2", "x-envoy-original-url", "http://shop/a/1", "x-new", "1"] },
  });
});

test("a predicate that nobody knows is refused: redirects would be followed that must not be", () => {
  const [rejection] = mesh({
    predicates: [{ name: "x", typedConfig: packed(PreviousRoutesConfigSchema) }],
  }).rejections;
  expect(rejection).toBeUndefined();
  const { rejections } = mesh({
    predicates: [
      { name: "x", typedConfig: { typeUrl: "t/some.Predicate", value: new Uint8Array() } as never },
    ],
  });
  expect(rejections[0]?.message).toContain("some.Predicate is not known");
});

test("internalRedirect never goes anywhere but to routes of the chain, whatever the location is", () => {
  const { follow } = mesh({ maxInternalRedirects: 5, allowCrossSchemeRedirect: true });
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary-ascii" }), fc.webUrl(), fc.string()), (location) => {
      const found = follow({}, 302, location);
      if (typeof found === "string") return;
      expect(["shop", "shop:80", "x.other"]).toContain(found.request.authority);
      expect(found.request.path.startsWith("/")).toBe(true);
      expect(found.request.path).not.toMatch(/[\0-\x20\x7f]/);
    }),
  );
});
