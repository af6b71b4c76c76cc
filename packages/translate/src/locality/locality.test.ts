import { ENDPOINT_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";
import { assignment, CLIENT, cluster, GRPC_CLIENT, instance, made, mesh } from "../../testdata/mesh.js";
import type { ClientView } from "../contract.js";
import { localityOfLabels, matchesLocality } from "./locality.js";

const NAME = "outbound|9080||reviews.default.svc.cluster.local";

/** An instance for each `region/zone/subzone`, with addresses 10.0.0.1, 10.0.0.2, … */
function reviews(...places: readonly (string | undefined)[]) {
  return places.map((place, index) => {
    const [region = "", zone = "", subzone = ""] = (place ?? "").split("/");
    return instance({
      service: "reviews",
      servicePort: 9080,
      id: `node/reviews-${index + 1}`,
      address: { host: `10.0.0.${index + 1}`, port: 8080 },
      ...(place !== undefined && { locality: { region, zone, subzone } }),
    });
  });
}

function rule(loadBalancer: string, more = "outlierDetection: {consecutive5xxErrors: 5}"): string {
  return `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, trafficPolicy: {loadBalancer: ${loadBalancer}, ${more}}}
`;
}

function clientAt(place: string, more: Partial<ClientView> = {}): ClientView {
  return { ...CLIENT, labels: { "istio-locality": place.replaceAll("/", ".") }, ...more };
}

/** `priority:weight region/zone/subzone last-address-bytes` of each group. */
function groups(at: ReturnType<typeof mesh>, view: ClientView): string[] {
  return assignment(at, view, NAME).endpoints.map(
    ({ locality, priority, loadBalancingWeight, lbEndpoints }) => {
      const place = [locality?.region, locality?.zone, locality?.subZone]
        .filter((part) => part !== "")
        .join("/");
      const last = lbEndpoints.map(({ hostIdentifier }) => {
        const address =
          hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
        return address?.case === "socketAddress" ? address.value.address.split(".").at(-1) : "";
      });
      return `${priority}:${loadBalancingWeight} ${place} ${last.join(",")}`;
    },
  );
}

function isWeighted(at: ReturnType<typeof mesh>, view: ClientView): boolean {
  return cluster(at, view, NAME).commonLbConfig?.localityConfigSpecifier.case === "localityWeightedLbConfig";
}

test.each([
  [{ "istio-locality": "eu.a.r1", "topology.kubernetes.io/region": "us" }, "eu|a|r1"],
  [{ "istio-locality": "eu/a" }, "eu|a|"],
  [{ "topology.kubernetes.io/region": "us", "topology.kubernetes.io/zone": "b" }, "us|b|"],
  [{ "topology.istio.io/subzone": "s" }, "||s"],
  [{}, undefined],
])("localityOfLabels reads %j", (labels, expected) => {
  const found = localityOfLabels(labels);
  expect(found && [found.region, found.zone, found.subzone].join("|")).toBe(expected);
});

test.each([
  ["*", true],
  ["eu", true],
  ["eu/*", true],
  ["eu/a/*", true],
  ["eu/a/r1", true],
  ["eu/b/*", false],
  ["us", false],
])("the pattern %s matches eu/a/r1: %s", (pattern, expected) => {
  expect(matchesLocality(pattern, { region: "eu", zone: "a", subzone: "r1" })).toBe(expected);
});

const SPREAD = reviews("eu/a/r1", "eu/a/r2", "eu/b/r1", "us/a/r1", "asia/a/r1", undefined);

test("with outlier detection the nearest endpoints come first: subzone, zone, region, the rest", () => {
  const at = mesh(SPREAD, rule("{simple: ROUND_ROBIN}"));
  expect(groups(at, clientAt("eu/a/r1"))).toEqual([
    "0:1 eu/a/r1 1",
    "1:1 eu/a/r2 2",
    "2:1 eu/b/r1 3",
    "3:1  6",
    "3:1 asia/a/r1 5",
    "3:1 us/a/r1 4",
  ]);
  expect(isWeighted(at, clientAt("eu/a/r1"))).toBe(false);
  // Ranks have no gaps.
  expect(groups(at, clientAt("us/z/r9"))[0]).toBe("0:1 us/a/r1 4");
  expect(groups(at, clientAt("mars"))).toHaveLength(6);
  expect(groups(at, clientAt("mars")).every((group) => group.startsWith("0:"))).toBe(true);
});

test.each([
  [
    "without outlier detection",
    rule("{simple: ROUND_ROBIN}", "connectionPool: {tcp: {maxConnections: 5}}"),
    "eu.a.r1",
  ],
  ["when it is switched off", rule("{localityLbSetting: {enabled: false}}"), "eu.a.r1"],
  ["for a client that does not say where it is", rule("{simple: ROUND_ROBIN}"), ""],
])("localities are alike %s", (_when, yaml, place) => {
  const found = groups(mesh(SPREAD, yaml), clientAt(place));
  expect(found).toHaveLength(6);
  expect(found.every((group) => group.startsWith("0:1 "))).toBe(true);
});

test("failover names the region that comes before all others", () => {
  const at = mesh(SPREAD, rule("{localityLbSetting: {failover: [{from: eu, to: us}]}}"));
  expect(groups(at, clientAt("eu/a/r1")).slice(3)).toEqual(["3:1 us/a/r1 4", "4:1  6", "4:1 asia/a/r1 5"]);
});

test("failoverPriority ranks by the labels that an endpoint shares with the client, from the first on", () => {
  const labels = ["topology.kubernetes.io/region", "rack", "tier=gold"];
  const yaml = rule(`{localityLbSetting: {failoverPriority: [${labels.join(", ")}]}}`);
  const with_ = (index: number, place: string, own: Record<string, string>) => ({
    ...reviews(...Array.from({ length: index }, () => place))[index - 1]!,
    labels: own,
  });
  const at = mesh(
    [
      with_(1, "eu/a", { rack: "7", tier: "gold" }),
      with_(2, "eu/b", { rack: "7", tier: "iron" }),
      with_(3, "eu/a", { rack: "8", tier: "gold" }),
      with_(4, "us/a", { rack: "7", tier: "gold" }),
    ],
    yaml,
  );
  const view = { ...CLIENT, labels: { "istio-locality": "eu.a", rack: "7" } };
  expect(groups(at, view)).toEqual(["0:1 eu/a 1", "1:1 eu/b 2", "2:1 eu/a 3", "3:1 us/a 4"]);
});

test("distribute gives localities shares, and nothing to those that it leaves out", () => {
  const to = '{"eu/a/*": 80, "us/*": 20}';
  const at = mesh(
    SPREAD,
    rule(`{localityLbSetting: {distribute: [{from: "eu/*", to: ${to}}]}}`, "tls: {mode: DISABLE}"),
  );
  expect(groups(at, clientAt("eu/b"))).toEqual(["0:4000 eu/a/r1 1", "0:4000 eu/a/r2 2", "0:2000 us/a/r1 4"]);
  expect(isWeighted(at, clientAt("eu/b"))).toBe(true);
  expect(groups(at, clientAt("us/a"))).toHaveLength(6);
  expect(isWeighted(at, clientAt("us/a"))).toBe(false);
});

/** As many instances of the client's service in each zone as given. */
function callers(...places: readonly string[]) {
  return reviews(...places).map((one, index) => ({ ...one, service: "web", id: `node/web-${index}` }));
}

const INBOUND = [{ service: "web", namespace: "default", servicePort: 80, appPort: 8080 }];
const ZONE_AWARE = rule("{zoneAwareLbSetting: {enabled: true}}");

test("zone-aware routing keeps all requests in a zone that has its part of the endpoints, the others next in line", () => {
  const places = ["eu/a", "eu/a", "eu/a", "eu/b", "eu/b", "eu/b", "us/a"];
  const at = mesh([...reviews(...places), ...callers("eu/a", "eu/b")], ZONE_AWARE);
  const view = clientAt("eu/a", { inbound: INBOUND });
  expect(groups(at, view)).toEqual(["0:10000 eu/a 1,2,3", "1:3 eu/b 4,5,6", "2:1 us/a 7"]);
  expect(isWeighted(at, view)).toBe(true);
});

test("zone-aware routing sends away what a small zone cannot take, to zones with room", () => {
  const places = ["eu/a", "eu/b", "eu/b", "eu/b", "eu/c", "eu/c", "eu/c", "eu/c"];
  const at = mesh([...reviews(...places), ...callers("eu/a", "eu/b", "eu/c", "eu/a")], ZONE_AWARE);
  // A part of 1/8 for half of the callers: a quarter stays. b and c have 1/8 and 1/4 to spare.
  expect(groups(at, clientAt("eu/a", { inbound: INBOUND }))).toEqual([
    "0:2500 eu/a 1",
    "0:2500 eu/b 2,3,4",
    "0:5000 eu/c 5,6,7,8",
  ]);
});

test("zone-aware routing needs enough endpoints, and to know where the client's service is", () => {
  const few = mesh([...reviews("eu/a", "eu/b"), ...callers("eu/a")], ZONE_AWARE);
  expect(groups(few, clientAt("eu/a", { inbound: INBOUND }))).toEqual(["0:1 eu/a 1", "0:1 eu/b 2"]);
  const at = mesh(reviews("eu/a", "eu/a", "eu/a", "eu/b", "eu/b", "eu/b"), ZONE_AWARE);
  expect(groups(at, clientAt("eu/a"))).toEqual(["0:3 eu/a 1,2,3", "0:3 eu/b 4,5,6"]);
});

test("a warning says that failover needs outlier detection", () => {
  const yaml = rule(
    "{localityLbSetting: {failover: [{from: eu, to: us}]}}",
    "connectionPool: {tcp: {maxConnections: 5}}",
  );
  const { warnings } = made(
    mesh(SPREAD, yaml),
    clientAt("eu/a"),
    "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    NAME,
  );
  expect(warnings).toEqual([expect.stringContaining("no effect without outlierDetection")]);
});

test("a proxyless client gets priorities without gaps when endpoints are left out for it", () => {
  const near = { ...reviews("eu/a")[0]!, address: { host: "near.example", port: 80 } };
  const far = reviews("eu/a", "us/b", "asia/c").slice(1);
  const at = mesh([near, ...far], rule("{localityLbSetting: {failover: [{from: eu, to: us}]}}"));
  const view = { ...GRPC_CLIENT, labels: { "istio-locality": "eu.a" } };
  expect(groups(at, view)).toEqual(["0:1 us/b 2", "1:1 asia/c 3"]);
  expect(made(at, view, ENDPOINT_TYPE, NAME).warnings).toHaveLength(1);
});
