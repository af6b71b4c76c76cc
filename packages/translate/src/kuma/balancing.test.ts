import { CLUSTER_TYPE } from "@tulle/xds";
import { Cluster_LbPolicy } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { expect, test } from "vitest";
import { assignment, CLIENT, cluster, instance, made, mesh, routesOf } from "../../testdata/mesh.js";
import type { ClientView } from "../contract.js";

const NAME = "outbound|9080||reviews.default.svc.cluster.local";
const ROUTES = "reviews.default.svc.cluster.local:9080";

/** An instance for each `zone` or `zone;label=value`, with addresses 10.0.0.1, 10.0.0.2, … */
function reviews(...places: readonly string[]) {
  return places.map((place, index) => {
    const [zone = "", ...pairs] = place.split(";");
    return instance({
      service: "reviews",
      servicePort: 9080,
      id: `node/reviews-${index + 1}`,
      address: { host: `10.0.0.${index + 1}`, port: 8080 },
      labels: Object.fromEntries(pairs.map((pair) => pair.split("=") as [string, string])),
      ...(zone !== "" && { locality: { region: "eu", zone, subzone: "" } }),
    });
  });
}

function strategy(
  conf: string,
  { name = "a", to = "{kind: Mesh}", targetRef = "{kind: Mesh}" } = {},
): string {
  return `---
apiVersion: kuma.io/v1alpha1
kind: MeshLoadBalancingStrategy
metadata: {name: ${name}, namespace: kuma-system}
spec: {targetRef: ${targetRef}, to: [{targetRef: ${to}, default: ${conf}}]}
`;
}

const of = (conf: string) => cluster(mesh(reviews("a"), strategy(conf)), CLIENT, NAME);

test.each<[conf: string, expected: object]>([
  ["{loadBalancer: {type: RoundRobin}}", { lbPolicy: Cluster_LbPolicy.ROUND_ROBIN }],
  ["{loadBalancer: {type: Random, random: {}}}", { lbPolicy: Cluster_LbPolicy.RANDOM }],
  [
    "{loadBalancer: {type: LeastRequest, leastRequest: {choiceCount: 5, activeRequestBias: '1.5'}}}",
    {
      lbPolicy: Cluster_LbPolicy.LEAST_REQUEST,
      lbConfig: {
        case: "leastRequestLbConfig",
        value: { choiceCount: 5, activeRequestBias: { defaultValue: 1.5 } },
      },
    },
  ],
  [
    "{loadBalancer: {type: RingHash, ringHash: {minRingSize: 100, maxRingSize: 1000, hashFunction: MurmurHash2}}}",
    {
      lbPolicy: Cluster_LbPolicy.RING_HASH,
      lbConfig: { value: { minimumRingSize: 100n, maximumRingSize: 1000n, hashFunction: 1 } },
    },
  ],
  [
    "{loadBalancer: {type: Maglev, maglev: {tableSize: 103}}}",
    { lbPolicy: Cluster_LbPolicy.MAGLEV, lbConfig: { value: { tableSize: 103n } } },
  ],
])("a cluster by %s", (conf, expected) => {
  expect(of(conf)).toMatchObject(expected);
});

test.each([
  [
    "{type: Header, header: {name: x-user}, terminal: true}",
    { case: "header", value: { headerName: "x-user" } },
    true,
  ],
  [
    "{type: Cookie, cookie: {name: c, ttl: 1h, path: /}}",
    { case: "cookie", value: { name: "c", path: "/", ttl: { seconds: 3600n } } },
    false,
  ],
  [
    "{type: Connection, connection: {sourceIP: true}}",
    { case: "connectionProperties", value: { sourceIp: true } },
    false,
  ],
  ["{type: SourceIP}", { case: "connectionProperties", value: { sourceIp: true } }, false],
  [
    "{type: QueryParameter, queryParameter: {name: q}}",
    { case: "queryParameter", value: { name: "q" } },
    false,
  ],
])("requests are hashed by %s", (policy, policySpecifier, terminal) => {
  for (const conf of [
    `{loadBalancer: {type: RingHash}, hashPolicies: [${policy}]}`,
    `{loadBalancer: {type: RingHash, ringHash: {hashPolicies: [${policy}]}}}`,
    `{loadBalancer: {type: Maglev, maglev: {hashPolicies: [${policy}]}}}`,
  ]) {
    const [route] = routesOf(mesh(reviews("a"), strategy(conf)), CLIENT, ROUTES);
    expect(route?.action.value).toMatchObject({ hashPolicy: [{ policySpecifier, terminal }] });
  }
});

test("several things are hashed in their order, and what is filter state is left out", () => {
  const conf =
    "{loadBalancer: {type: RingHash}, hashPolicies: [{type: Header, header: {name: a}}, {type: FilterState, filterState: {key: k}}, {type: SourceIP}]}";
  const [route] = routesOf(mesh(reviews("a"), strategy(conf)), CLIENT, ROUTES);
  const policies = route?.action.case === "route" ? route.action.value.hashPolicy : [];
  expect(policies.map(({ policySpecifier }) => policySpecifier.case)).toEqual([
    "header",
    "connectionProperties",
  ]);
});

/** `priority:weight zone subzone last-address-bytes` of each group. */
function groups(places: readonly string[], conf: string, view: ClientView = IN_A): string[] {
  return assignment(
    mesh(reviews(...places), strategy(`{localityAwareness: ${conf}}`)),
    view,
    NAME,
  ).endpoints.map(({ locality, priority, loadBalancingWeight, lbEndpoints }) => {
    const last = lbEndpoints.map(({ hostIdentifier }) => {
      const address = hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
      return address?.case === "socketAddress" ? address.value.address.split(".").at(-1) : "";
    });
    const place = [locality?.zone, locality?.subZone].filter((part) => part !== "").join("/");
    return `${priority}:${loadBalancingWeight} ${place} ${last.join(",")}`;
  });
}

const IN_A = { ...CLIENT, labels: { "istio-locality": "eu.a", rack: "1", node: "n" } };
const ZONES = ["a", "a", "b", "c", "d", ""];

test.each<[what: string, conf: string, expected: readonly string[]]>([
  ["stays in the client's zone unless told otherwise", "{}", ["0:2 a 1,2"]],
  [
    "is off where it is disabled",
    "{disabled: true}",
    ["0:1  6", "0:2 a 1,2", "0:1 b 3", "0:1 c 4", "0:1 d 5"],
  ],
  [
    "goes to any zone next",
    "{crossZone: {failover: [{to: {type: Any}}]}}",
    ["0:2 a 1,2", "1:1  6", "1:1 b 3", "1:1 c 4", "1:1 d 5"],
  ],
  [
    "goes to zones in the rules' order",
    "{crossZone: {failover: [{to: {type: Only, zones: [c]}}, {to: {type: AnyExcept, zones: [d]}}]}}",
    ["0:2 a 1,2", "1:1 c 4", "2:1  6", "2:1 b 3"],
  ],
  [
    "goes by the rules for the client's zone alone",
    "{crossZone: {failover: [{from: {zones: [b]}, to: {type: Any}}, {from: {zones: [a, c]}, to: {type: Only, zones: [d]}}]}}",
    ["0:2 a 1,2", "1:1 d 5"],
  ],
  ["goes nowhere else with None", "{crossZone: {failover: [{to: {type: None}}]}}", ["0:2 a 1,2"]],
])("locality awareness %s", (_what, conf, expected) => {
  expect(groups(ZONES, conf)).toEqual(expected);
});

test("where the client's zone has nobody, the next zone is the first", () => {
  expect(groups(["b", "c"], "{crossZone: {failover: [{to: {type: Only, zones: [c]}}]}}")).toEqual([
    "0:1 c 2",
  ]);
});

test.each<[tags: string, expected: readonly string[]]>([
  ["[{key: rack}, {key: node}]", ["0:1 a 4", "0:9 a/node=n 3", "0:90 a/rack=1 1,2"]],
  ["[{key: rack, weight: 7}, {key: node, weight: 3}]", ["0:1 a 4", "0:3 a/node=n 3", "0:7 a/rack=1 1,2"]],
  ["[{key: zone-of-nobody}]", ["0:1 a 1,2,3,4"]],
])("endpoints of the client's zone are shared out by affinity tags %s", (tags, expected) => {
  const places = ["a;rack=1", "a;rack=1;node=n", "a;rack=2;node=n", "a;rack=2", "b;rack=1"];
  expect(groups(places, `{localZone: {affinityTags: ${tags}}}`)).toEqual(expected);
  const at = mesh(reviews(...places), strategy(`{localityAwareness: {localZone: {affinityTags: ${tags}}}}`));
  expect(cluster(at, IN_A, NAME).commonLbConfig?.localityConfigSpecifier.case).toBe(
    "localityWeightedLbConfig",
  );
});

test.each([
  ["", 200],
  ["failoverThreshold: {percentage: 70}", 143],
  ["failoverThreshold: {percentage: '12.5'}", 800],
  ["failoverThreshold: {percentage: 100}", 100],
])("a zone is used as long as enough of it lives: {%s}", (threshold, expected) => {
  const conf = `{localityAwareness: {crossZone: {${threshold}}}}`;
  expect(assignment(mesh(reviews("a"), strategy(conf)), IN_A, NAME).policy?.overprovisioningFactor).toBe(
    expected,
  );
});

test("a client that does not say where it is takes all endpoints alike, with a warning", () => {
  expect(groups(["a", "b"], "{}", CLIENT)).toEqual(["0:1 a 1", "0:1 b 2"]);
  expect(
    made(mesh(reviews("a"), strategy("{localityAwareness: {}}")), CLIENT, CLUSTER_TYPE, NAME).warnings,
  ).toEqual([`${NAME}: localityAwareness has no effect on workloads that do not say in which zone they are`]);
});

test("policies add up field by field, the more specific one first", () => {
  const yaml =
    strategy("{loadBalancer: {type: RoundRobin}, localityAwareness: {disabled: true}}") +
    strategy("{loadBalancer: {type: Random}}", {
      name: "b",
      to: "{kind: MeshService, name: reviews, namespace: default}",
    });
  const at = mesh(reviews("a", "b"), yaml);
  expect(cluster(at, CLIENT, NAME).lbPolicy).toBe(Cluster_LbPolicy.RANDOM);
  expect(assignment(at, IN_A, NAME).endpoints).toHaveLength(2);
  expect(made(at, CLIENT, CLUSTER_TYPE, NAME).owners).toEqual([
    "MeshLoadBalancingStrategy/kuma-system/a",
    "MeshLoadBalancingStrategy/kuma-system/b",
  ]);
});

test("a port has what is said of it", () => {
  const yaml = strategy("{loadBalancer: {type: Random}}", {
    to: "{kind: MeshService, name: reviews, namespace: default, sectionName: '9081'}",
  });
  const both = [9080, 9081].map((servicePort) => instance({ service: "reviews", servicePort }));
  expect(cluster(mesh(both, yaml), CLIENT, NAME).lbPolicy).toBe(Cluster_LbPolicy.LEAST_REQUEST);
  expect(cluster(mesh(both, yaml), CLIENT, NAME.replace("9080", "9081")).lbPolicy).toBe(
    Cluster_LbPolicy.RANDOM,
  );
});

test("a DestinationRule's own settings hold instead, and the policy's status says so; what it leaves out the policy says", () => {
  const rule = (policy: string) => `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews${policy}}
`;
  const yaml = strategy("{loadBalancer: {type: Random}}");
  const ruled = mesh(reviews("a"), yaml + rule(", trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}"));
  expect(cluster(ruled, CLIENT, NAME).lbPolicy).toBe(Cluster_LbPolicy.ROUND_ROBIN);
  expect(made(ruled, CLIENT, CLUSTER_TYPE, NAME).warnings).toEqual([
    "MeshLoadBalancingStrategy kuma-system/a: DestinationRule default/reviews has trafficPolicy.loadBalancer for the same host, which holds instead",
  ]);
  const silent = mesh(reviews("a"), yaml + rule(", subsets: [{name: v1, labels: {version: v1}}]"));
  expect(cluster(silent, CLIENT, NAME).lbPolicy).toBe(Cluster_LbPolicy.RANDOM);
  expect(made(silent, CLIENT, CLUSTER_TYPE, NAME).warnings).toEqual([]);
});
