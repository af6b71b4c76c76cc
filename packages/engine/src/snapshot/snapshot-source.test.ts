import {
  CLUSTER_TYPE,
  ENDPOINT_TYPE,
  LISTENER_TYPE,
  ROUTE_TYPE,
  RUNTIME_TYPE,
  SECRET_TYPE,
} from "@tulle/xds";
import { Cluster_LbPolicy } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Plan } from "../contract.js";
import type { HttpChain, ResourceChange } from "./contract.js";
import { createLoadTable } from "../load/load-table.js";
import { route } from "../route/route.js";
import {
  apiListener,
  change,
  edsCluster,
  endpoints,
  gone,
  manager,
  request,
  routes,
  routeTo,
} from "../testing/resources.js";
import { createSnapshotSource } from "./snapshot-source.js";

function sourceOf(changes: readonly ResourceChange[], maxSlots = 1000) {
  const load = createLoadTable({ maxSlots });
  const source = createSnapshotSource({ load });
  const rejections = source.apply(changes);
  const cluster = (init = {}): string => {
    const chain = source.current.outbound("l") as HttpChain;
    const routed = route({ snapshot: source.current, load, now: 0, entropy: 0 }, chain, request(init));
    return routed.kind === "forward" ? routed.cluster.name : routed.kind;
  };
  return { load, source, rejections, cluster };
}

const A = [edsCluster("a"), endpoints("a", [{ address: "10.0.0.1" }])];
const B = [edsCluster("b"), endpoints("b", [{ address: "10.0.0.2" }])];
const L = apiListener("l", "r");

test("outbound is undefined before an answer, a chain that is not warm until all it needs has come, and null when gone", () => {
  const { source } = sourceOf([]);
  expect(source.current.outbound("l")).toBeUndefined();
  const warmth = () => (source.current.outbound("l") as HttpChain).warm;
  source.apply([L]);
  expect(warmth()).toBe(false);
  source.apply([routes("r", [routeTo("a")])]);
  expect(warmth()).toBe(false);
  source.apply([edsCluster("a")]);
  expect(warmth()).toBe(false);
  source.apply([endpoints("a", [])]);
  expect(warmth()).toBe(true);
  source.apply([gone(LISTENER_TYPE, "l")]);
  expect(source.current.outbound("l")).toBeNull();
});

test("outbound is warm when what it names does not exist or was refused: waiting would not help", () => {
  const { source } = sourceOf([L, routes("r", [routeTo("a"), routeTo("b")]), gone(CLUSTER_TYPE, "a")]);
  expect((source.current.outbound("l") as HttpChain).warm).toBe(false);
  expect(
    source.apply([edsCluster("b", { lbPolicy: Cluster_LbPolicy.LOAD_BALANCING_POLICY_CONFIG })]),
  ).toHaveLength(1);
  expect((source.current.outbound("l") as HttpChain).warm).toBe(true);
  const { source: routeless } = sourceOf([L, gone(ROUTE_TYPE, "r")]);
  expect((routeless.current.outbound("l") as HttpChain).warm).toBe(true);
});

test("apply keeps all parts that a change does not concern identical", () => {
  const { source } = sourceOf([
    L,
    apiListener("m", "q"),
    routes("r", [routeTo("a")]),
    routes("q", [routeTo("b")]),
    ...A,
    ...B,
  ]);
  const before = source.current;
  source.apply([endpoints("a", [{ address: "10.0.0.1" }, { address: "10.0.0.9" }], "2")]);
  const after = source.current;
  expect(after.sequence).toBe(before.sequence + 1);
  expect(after.outbound("l")).toBe(before.outbound("l"));
  expect(after.outbound("m")).toBe(before.outbound("m"));
  expect(after.cluster("b")).toBe(before.cluster("b"));
  expect(after.cluster("a")).not.toBe(before.cluster("a"));
  expect(after.cluster("a")!.endpoints[0]).toBe(before.cluster("a")!.endpoints[0]);
  expect(before.cluster("a")!.endpoints).toHaveLength(1);
  source.apply([routes("r", [routeTo("b")], "2")]);
  expect(source.current.outbound("l")).not.toBe(after.outbound("l"));
  expect(source.current.outbound("m")).toBe(after.outbound("m"));
});

test("apply changes nothing for bytes that it has, whatever their version", () => {
  const { source } = sourceOf([L, routes("r", [routeTo("a")]), ...A]);
  const before = source.current;
  source.apply([L, routes("r", [routeTo("a")], "2"), ...A]);
  expect(source.current).toBe(before);
  expect([...source.resources()].find(({ typeUrl }) => typeUrl === ROUTE_TYPE)!.version).toBe("2");
});

test("route gives one plan object until its cluster changes", () => {
  const { source, load } = sourceOf([L, routes("r", [routeTo("a")]), ...A, ...B]);
  const plan = () =>
    route(
      { snapshot: source.current, load, now: 0, entropy: 0 },
      source.current.outbound("l") as HttpChain,
      request(),
    ) as Plan;
  const first = plan();
  expect(plan()).toBe(first);
  source.apply([endpoints("b", [], "2")]);
  expect(plan()).toBe(first);
  source.apply([endpoints("a", [], "2")]);
  expect(plan()).not.toBe(first);
  expect(plan().cluster.endpoints).toEqual([]);
});

test("apply keeps serving the old routes until every cluster of the new ones has been answered", () => {
  const { source, cluster } = sourceOf([L, routes("r", [routeTo("a")]), ...A]);
  source.apply([routes("r", [routeTo("b")], "2")]);
  expect(cluster()).toBe("a");
  expect([...source.wanted(["l"]).get(CLUSTER_TYPE)!].sort()).toEqual(["a", "b"]);
  source.apply([B[0]!]);
  expect(cluster()).toBe("a");
  source.apply([B[1]!]);
  expect(cluster()).toBe("b");
  expect([...source.wanted(["l"]).get(CLUSTER_TYPE)!]).toEqual(["b"]);
});

test("apply refuses by name, applies the rest, and keeps the last good version", () => {
  const { source, cluster } = sourceOf([L, routes("r", [routeTo("a")]), ...A]);
  const bad = routes(
    "r",
    [{ ...routeTo("b"), match: { pathSpecifier: { case: "safeRegex", value: { regex: "(" } } } }],
    "2",
  );
  const rejections = source.apply([bad, ...B]);
  expect(rejections).toEqual([
    {
      name: "r",
      message: expect.stringContaining("virtual_hosts[0].routes[0].match.safe_regex.regex") as string,
    },
  ]);
  expect(cluster()).toBe("a");
  expect(source.current.cluster("b")).toBeDefined();
  expect([...source.resources()].find(({ name }) => name === "r")!.version).toBe("1");
});

test("apply refuses a resource under another name than its own, and types that it does not know", () => {
  const { rejections } = sourceOf([
    { ...edsCluster("a"), name: "b" },
    { ...endpoints("a", []), name: "b" },
    { ...L, name: "b" },
    { ...routes("r", []), name: "b" },
    { typeUrl: "unknown", name: "default", version: "1", bytes: new Uint8Array() },
  ]);
  expect(rejections.map(({ name, message }) => [name, message])).toEqual([
    ["b", 'name: is "a" in the resource "b"'],
    ["b", 'cluster_name: is "a" in the resource "b"'],
    ["b", 'name: is "l" in the resource "b"'],
    ["b", 'name: is "r" in the resource "b"'],
    ["default", "resources of type unknown are not supported"],
  ]);
});

test("apply answers with no route when the table is gone, and without endpoints when the cluster or its endpoints are", () => {
  const { source, cluster } = sourceOf([L, routes("r", [routeTo("a")]), ...A]);
  source.apply([gone(ENDPOINT_TYPE, "a")]);
  expect(source.current.cluster("a")).toMatchObject({ endpoints: [], warm: true });
  source.apply([gone(CLUSTER_TYPE, "a")]);
  expect(source.current.cluster("a")).toBeUndefined();
  expect(cluster()).toBe("a");
  source.apply([gone(ROUTE_TYPE, "r")]);
  expect(cluster()).toBe("no-route");
});

test("wanted walks from listeners over routes and clusters to endpoints, and grows with what arrives", () => {
  const { source } = sourceOf([]);
  const names = () =>
    Object.fromEntries([...source.wanted(["l"])].map(([type, set]) => [type, [...set].sort()]));
  expect(names()).toEqual({
    [LISTENER_TYPE]: ["l"],
    [ROUTE_TYPE]: [],
    [CLUSTER_TYPE]: [],
    [ENDPOINT_TYPE]: [],
    [SECRET_TYPE]: [],
    [RUNTIME_TYPE]: [],
  });
  source.apply([L, apiListener("other", "x")]);
  expect(names()[ROUTE_TYPE]).toEqual(["r"]);
  source.apply([routes("r", [routeTo("a"), routeTo("b"), routeTo("a")])]);
  expect(names()[CLUSTER_TYPE]).toEqual(["a", "b"]);
  source.apply([
    edsCluster("a", { edsClusterConfig: { edsConfig: {}, serviceName: "shared" } }),
    edsCluster("b"),
  ]);
  expect(names()[ENDPOINT_TYPE]).toEqual(["b", "shared"]);
});

test("wanted finds the clusters of inline routes", () => {
  const http = manager({
    routeSpecifier: {
      case: "routeConfig",
      value: { virtualHosts: [{ name: "v", domains: ["*"], routes: [routeTo("inbound|80||x")] }] },
    },
  });
  const { source, rejections } = sourceOf([
    change(LISTENER_TYPE, "l", ListenerSchema, { name: "l", apiListener: { apiListener: http } }),
  ]);
  expect(rejections).toEqual([]);
  expect([...source.wanted(["l"]).get(CLUSTER_TYPE)!]).toEqual(["inbound|80||x"]);
});

test("forget makes a name unknown again", () => {
  const { source } = sourceOf([L, gone(LISTENER_TYPE, "x"), ...A]);
  expect(source.current.outbound("x")).toBeNull();
  source.forget(LISTENER_TYPE, ["x", "l"]);
  expect(source.current.outbound("x")).toBeUndefined();
  expect(source.current.outbound("l")).toBeUndefined();
  source.forget(ENDPOINT_TYPE, ["a"]);
  expect(source.current.cluster("a")!.warm).toBe(false);
  source.forget(CLUSTER_TYPE, ["a"]);
  expect([...source.resources()]).toEqual([]);
});

test("resources gives back what was applied, enough to start again from", () => {
  const { source } = sourceOf([L, routes("r", [routeTo("a")]), ...A]);
  const again = sourceOf([...source.resources()]);
  expect(again.rejections).toEqual([]);
  expect(again.cluster()).toBe("a");
});

test("apply gives endpoints slots by address, keeps them over updates, and takes them back", () => {
  const { source, load } = sourceOf([...A, edsCluster("c"), endpoints("c", [{ address: "10.0.0.1" }])], 6);
  const slot = source.current.cluster("a")!.endpoints[0]!.slot;
  expect(source.current.cluster("c")!.endpoints[0]!.slot).toBe(slot);
  source.apply([endpoints("a", [{ address: "10.0.0.8" }, { address: "10.0.0.1" }], "2")]);
  expect(source.current.cluster("a")!.endpoints[1]!.slot).toBe(slot);
  source.apply([gone(CLUSTER_TYPE, "a"), gone(CLUSTER_TYPE, "c")]);
  expect([1, 2, 3, 4, 5].map((one) => load.acquire(`x${one}`)).every((one) => one > 0)).toBe(true);
});

test("apply refuses endpoints for which the load table has no room, and keeps those that it has", () => {
  const { source } = sourceOf([...A], 4);
  const many = Array.from({ length: 5 }, (_, index) => ({ address: `10.0.1.${index}` }));
  expect(source.apply([endpoints("a", many, "2")])).toEqual([
    { name: "a", message: expect.stringContaining("the load table is full") as string },
  ]);
  expect(source.current.cluster("a")!.endpoints.map(({ host }) => host)).toEqual(["10.0.0.1"]);
  expect(source.apply([endpoints("a", [{ address: "10.0.0.7" }], "3")])).toEqual([]);
});

test("apply never throws on any bytes, and says what is wrong", () => {
  const valid = [L, routes("r", [routeTo("a")]), ...A];
  const noise = fc.record({
    base: fc.constantFrom(...valid),
    at: fc.nat(200),
    bytes: fc.uint8Array({ maxLength: 12 }),
    cut: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(noise, { maxLength: 4 }), (list) => {
      const { source } = sourceOf(valid);
      const changes = list.map(({ base, at, bytes, cut }) => ({
        ...base,
        version: "2",
        bytes: damage(base.bytes!, at, bytes, cut),
      }));
      for (const { message } of source.apply(changes)) expect(message.length).toBeGreaterThan(0);
      expect(source.current.outbound("l")).toBeTruthy();
    }),
    { numRuns: 300 },
  );
});

function damage(bytes: Uint8Array, at: number, noise: Uint8Array, cut: boolean): Uint8Array {
  const place = Math.min(at, bytes.length);
  return Uint8Array.from([
    ...bytes.subarray(0, place),
    ...noise,
    ...(cut ? [] : bytes.subarray(place + noise.length)),
  ]);
}
