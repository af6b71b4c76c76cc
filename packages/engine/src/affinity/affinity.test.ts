import { Cluster_LbPolicy as LbPolicy } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { HealthStatus } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import { StatefulSessionPerRouteSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.js";
import { CookieBasedSessionStateSchema } from "@tulle/xds/gen/envoy/extensions/http/stateful_session/cookie/v3/cookie_pb.js";
import { HeaderBasedSessionStateSchema } from "@tulle/xds/gen/envoy/extensions/http/stateful_session/header/v3/header_pb.js";
import fc from "fast-check";
import { expect, test } from "vitest";

import type { HeaderList } from "@tulle/http";
import type { EngineRequest } from "../contract.js";
import { UNHEALTHY_CHECK } from "../contract.js";
import { balanced, hostOf } from "../testing/balanced.js";
import { edsCluster, endpoints, packed, request, type EndpointInit } from "../testing/resources.js";
import { cookieValue } from "./cookies.js";
import { bindingField } from "./session.js";

const FIVE = ["a", "b", "c", "d", "e"].map((address) => ({ address }));

function hashing(...hashPolicy: object[]) {
  return balanced(FIVE, { lbPolicy: LbPolicy.RING_HASH }, { hashPolicy });
}

const header = (headerName: string, more = {}) => ({
  policySpecifier: { case: "header", value: { headerName } },
  ...more,
});
const cookie = (value: object) => ({ policySpecifier: { case: "cookie", value } });

/** The hosts that requests go to, each asked for with other entropy. */
function taken(
  mesh: ReturnType<typeof balanced>,
  asked: readonly Partial<EngineRequest>[],
  client?: string,
): string[] {
  return asked.map((one, entropy) => hostOf(mesh.ask(one, { entropy, ...(client && { client }) }).picked));
}

const times = <Value>(count: number, value: Value): Value[] => Array.from({ length: count }, () => value);

test("requests with equal headers go to one endpoint, with others to others, without one anywhere", () => {
  const mesh = hashing(header("X-User"));
  expect(new Set(taken(mesh, times(30, { headers: ["x-user", "ann"] }))).size).toBe(1);
  const users = Array.from({ length: 60 }, (_, index) => ({ headers: ["x-user", `user ${index}`] }));
  expect(new Set(taken(mesh, users)).size).toBe(5);
  expect(new Set(taken(mesh, times(60, {}))).size).toBe(5);
});

test("source address and query parameter choose an endpoint as headers do", () => {
  const mesh = hashing({ policySpecifier: { case: "connectionProperties", value: { sourceIp: true } } });
  expect(new Set(taken(mesh, times(30, {}), "192.0.2.7")).size).toBe(1);
  const clients = Array.from({ length: 60 }, (_, index) =>
    hostOf(mesh.ask({}, { client: `192.0.2.${index}` }).picked),
  );
  expect(new Set(clients).size).toBe(5);
  const query = hashing({ policySpecifier: { case: "queryParameter", value: { name: "id" } } });
  expect(new Set(taken(query, times(30, { path: "/a?x=1&id=7" }))).size).toBe(1);
  const paths = Array.from({ length: 60 }, (_, index) => ({ path: `/a?id=${index}` }));
  expect(new Set(taken(query, paths)).size).toBe(5);
});

test("a header is rewritten before it is hashed", () => {
  const regexRewrite = { pattern: { regex: "^(\\w+)-.*$" }, substitution: "\\1" };
  const mesh = hashing({
    policySpecifier: { case: "header", value: { headerName: "x-user", regexRewrite } },
  });
  const sessions = Array.from({ length: 30 }, (_, index) => ({ headers: ["x-user", `ann-${index}`] }));
  expect(new Set(taken(mesh, sessions)).size).toBe(1);
});

test("all parts count together, but none after a terminal one that is there", () => {
  const both = hashing(header("x-user"), header("x-page"));
  const pages = Array.from({ length: 60 }, (_, index) => ({
    headers: ["x-user", "ann", "x-page", `${index}`],
  }));
  expect(new Set(taken(both, pages)).size).toBe(5);
  const terminal = hashing(header("x-user", { terminal: true }), header("x-page"));
  expect(new Set(taken(terminal, pages)).size).toBe(1);
  const anonymous = pages.map(({ headers }) => ({ headers: headers.slice(2) }));
  expect(new Set(taken(terminal, anonymous)).size).toBe(5);
});

test("a client without the cookie is given one that brings it back to where it is", () => {
  const attributes = [{ name: "SameSite", value: "Lax" }, { name: "Secure" }];
  const mesh = hashing(cookie({ name: "track", path: "/shop", ttl: { seconds: 3600n }, attributes }));
  for (let entropy = 0; entropy < 20; entropy++) {
    const { affinity, picked } = mesh.ask({}, { entropy });
    const made = /^track=([0-9a-f]{16}); Max-Age=3600; Path=\/shop; HttpOnly; SameSite=Lax; Secure$/.exec(
      affinity!.setCookie,
    );
    const again = mesh.ask({ headers: ["cookie", `x=1; track="${made?.[1]}"`] }, { entropy: 99 });
    expect(again.affinity!.setCookie).toBe("");
    expect(again.picked).toBe(picked);
  }
});

test("a cookie ends with the session when its time is 0, and is not made when it has none", () => {
  expect(hashing(cookie({ name: "t", ttl: {} })).ask({}).affinity!.setCookie).toMatch(
    /^t=[0-9a-f]{16}; HttpOnly$/,
  );
  expect(hashing(cookie({ name: "t" })).ask({}).affinity).toEqual({
    key: undefined,
    setCookie: "",
    boundTo: "",
    named: [],
  });
});

test.each([
  [{ policySpecifier: { case: "filterState", value: { key: "k" } } }, "filter_state: is not supported"],
  [cookie({ name: "a", path: "/;x", ttl: {} }), "cookie: must have a name, and no part with a semicolon"],
  [{}, "hash_policy[0]: must set one of"],
])("a hash policy that cannot be carried out is refused", (policy, message) => {
  expect(() => hashing(policy)).toThrow(message);
});

test("cookieValue finds a cookie in any of the fields, whatever they hold", () => {
  const find = (...fields: string[]) =>
    cookieValue(
      fields.flatMap((field): HeaderList => ["Cookie", field]),
      "id",
    );
  expect(find("a=b; id=7; c=d")).toBe("7");
  expect(find("xid=1", "id=2")).toBe("2");
  expect(find("id=", "id=2")).toBe("");
  expect(find("ide=1; id; =; ;")).toBeUndefined();
  expect(find('id="quoted"')).toBe("quoted");
  fc.assert(
    fc.property(fc.array(fc.string()), fc.stringMatching(/^[\w.]{0,20}$/), (junk, value) => {
      const field = [...junk.map((one) => one.replaceAll(/id=|;/g, "")), `id=${value}`].join(";");
      expect(find(field)).toBe(value);
    }),
  );
});

// Sessions

const SESSION = "envoy.filters.http.stateful_session";
const COOKIE = packed(CookieBasedSessionStateSchema, {
  cookie: { name: "home", path: "/", ttl: { seconds: 60n } },
});
const HEADER = packed(HeaderBasedSessionStateSchema, { name: "X-Home" });

function sessions(typedConfig = COOKIE, strict = false, list: readonly EndpointInit[] = FIVE) {
  const override = {
    case: "statefulSession",
    value: { sessionState: { name: "s", typedConfig }, strict },
  } as const;
  const typedPerFilterConfig = { [SESSION]: packed(StatefulSessionPerRouteSchema, { override }) };
  const statuses = [HealthStatus.UNKNOWN, HealthStatus.HEALTHY, HealthStatus.DEGRADED, HealthStatus.DRAINING];
  return balanced(
    list,
    { commonLbConfig: { overrideHostStatus: { statuses } } },
    {},
    { typedPerFilterConfig },
  );
}

/** What a client sends after an answer of `host`. */
function boundTo(mesh: ReturnType<typeof sessions>, host: string): HeaderList {
  const [name, value] = bindingField(mesh.plan.session!, request(), "", `${host}:80`)!;
  if (name !== "set-cookie") return [name, value];
  expect(value).toMatch(/^home=[A-Za-z0-9+/=]+; Max-Age=60; Path=\/; HttpOnly$/);
  return ["cookie", value.split(";")[0]!];
}

test.each([
  ["cookie", COOKIE],
  ["header", HEADER],
])("a session stays with its endpoint by %s, however many come, and while it is drained", (_name, state) => {
  const mesh = sessions(state);
  const headers = boundTo(mesh, "c");
  const everywhere = () => new Set(taken(mesh, times(40, { headers })));
  expect(everywhere()).toEqual(new Set(["c"]));
  const drained = [...FIVE, { address: "f" }, { address: "g" }].map((one) =>
    one.address === "c" ? { ...one, health: HealthStatus.DRAINING } : one,
  );
  mesh.source.apply([endpoints("c", drained, "2")]);
  expect(everywhere()).toEqual(new Set(["c"]));
  expect(new Set(taken(mesh, times(80, {})))).toEqual(new Set(["a", "b", "d", "e", "f", "g"]));
});

test("a session whose endpoint is gone or ill goes elsewhere and is bound anew, unless it is strict", () => {
  const free = sessions();
  const strict = sessions(COOKIE, true);
  for (const mesh of [free, strict]) mesh.load.setUnhealthy(mesh.slotOf("c"), UNHEALTHY_CHECK, true);
  for (const host of ["c", "nobody"]) {
    const asked = { headers: boundTo(free, host) };
    const { affinity, picked, plan } = free.ask(asked);
    expect(hostOf(picked)).not.toBe("c");
    expect(bindingField(plan.session!, request(), affinity!.boundTo, "a:80")![0]).toBe("set-cookie");
    expect(hostOf(strict.ask(asked).picked)).toBe("UH");
  }
  expect(hostOf(strict.ask({}).picked)).not.toBe("UH");
});

test("a retry leaves the endpoint of its session", () => {
  const mesh = sessions();
  const asked = { headers: boundTo(mesh, "c") };
  const retried = Array.from({ length: 40 }, (_, entropy) =>
    hostOf(mesh.ask(asked, { entropy, attempt: { attempts: 1 } }).picked),
  );
  expect(new Set(retried).size).toBe(5);
});

test("an answer binds a session only when it is not bound to that endpoint already, and only under the cookie's path", () => {
  const { session } = sessions(
    packed(CookieBasedSessionStateSchema, { cookie: { name: "home", path: "/shop" } }),
  ).plan;
  const binding = (path: string, boundTo: string) =>
    bindingField(session!, request({ path }), boundTo, "a:80")?.[1];
  expect(binding("/shop?x", "")).toBe(`home=${btoa("a:80")}; Path=/shop; HttpOnly`);
  expect(binding("/shop/cart", "b:80")).toBeDefined();
  expect(binding("/shop/cart", "a:80")).toBeUndefined();
  expect(binding("/shopping", "")).toBeUndefined();
});

test("a session that Envoy has bound is understood, and nonsense binds to nothing", () => {
  const mesh = sessions();
  const envoys = btoa(`\n\u0004c:80\u0010\u0080\u0002`);
  expect(new Set(taken(mesh, times(20, { headers: ["cookie", `home=${envoys}`] })))).toEqual(new Set(["c"]));
  fc.assert(
    fc.property(fc.string({ maxLength: 80 }), (value) => {
      expect(hostOf(mesh.ask({ headers: ["cookie", `home=${value}`] }).picked)).toMatch(/^[a-e]$/);
    }),
  );
});

test("a session stays with the cluster of a split that has its endpoint", () => {
  const mesh = sessions();
  const weighted = {
    clusters: [
      { name: "c", weight: 1 },
      { name: "other", weight: 99 },
    ],
  };
  const split = balanced(
    FIVE,
    {},
    { clusterSpecifier: { case: "weightedClusters", value: weighted } },
    {
      typedPerFilterConfig: {
        [SESSION]: packed(StatefulSessionPerRouteSchema, {
          override: { case: "statefulSession", value: { sessionState: { name: "s", typedConfig: COOKIE } } },
        }),
      },
    },
  );
  split.source.apply([edsCluster("other"), endpoints("other", [{ address: "z" }])]);
  expect(new Set(taken(split, times(50, { headers: boundTo(mesh, "b") })))).toEqual(new Set(["b"]));
  expect(new Set(taken(split, times(50, { headers: boundTo(mesh, "z") })))).toEqual(new Set(["z"]));
  expect(taken(split, times(50, {})).filter((host) => host === "z").length).toBeGreaterThan(40);
});

test("a split by hash sends equal keys to equal clusters, by weight, and keeps to it with the cookie that it makes", () => {
  const weighted = {
    clusters: [
      { name: "c", weight: 50 },
      { name: "other", weight: 50 },
    ],
  };
  const hashPolicy = [cookie({ name: "track", ttl: {} })];
  const split = balanced(
    FIVE,
    {},
    { clusterSpecifier: { case: "weightedClusters", value: weighted }, hashPolicy },
    { metadata: { filterMetadata: { "tulle.dev": { split: "hash" } } } },
  );
  split.source.apply([edsCluster("other"), endpoints("other", [{ address: "z" }])]);
  let other = 0;
  for (let entropy = 0; entropy < 60; entropy++) {
    const first = split.ask({}, { entropy });
    const track = first.affinity!.setCookie.split(";")[0]!;
    const { cluster } = first.plan;
    if (cluster.name === "other") other++;
    for (let again = 1; again < 6; again++) {
      expect(split.ask({ headers: ["cookie", track] }, { entropy: entropy + again }).plan.cluster).toBe(
        cluster,
      );
    }
  }
  expect(Math.abs(other - 30)).toBeLessThan(15);
});
