import { expect, test } from "vitest";
import { meshLoadBalancingStrategyKind } from "./kind.js";

function problems(conf: unknown): string[] {
  const checked = meshLoadBalancingStrategyKind.check({
    spec: { to: [{ targetRef: { kind: "Mesh" }, default: conf }] },
  });
  return checked.ok
    ? checked.warnings.map((text) => `warning: ${text}`)
    : checked.violations.map(({ path, message }) => `${path.replace("spec.to[0].default.", "")}: ${message}`);
}

test("check accepts every documented field and keeps it", () => {
  const hashPolicies = [
    { type: "Header", header: { name: "x-user" }, terminal: true },
    { type: "Cookie", cookie: { name: "c", ttl: "1h", path: "/" } },
    { type: "Connection", connection: { sourceIP: true } },
    { type: "SourceIP" },
    { type: "QueryParameter", queryParameter: { name: "q" } },
  ];
  const conf = (part: object) => ({ targetRef: { kind: "MeshService", name: "reviews" }, default: part });
  const spec = {
    targetRef: { kind: "Dataplane", labels: { app: "web" } },
    to: [
      conf({ loadBalancer: { type: "RoundRobin", roundRobin: {} }, localityAwareness: { disabled: true } }),
      conf({
        loadBalancer: { type: "LeastRequest", leastRequest: { choiceCount: 3, activeRequestBias: 1 } },
      }),
      conf({
        loadBalancer: {
          type: "RingHash",
          ringHash: { hashFunction: "XXHash", minRingSize: 10, maxRingSize: 20, hashPolicies },
        },
      }),
      conf({ loadBalancer: { type: "Maglev", maglev: { tableSize: 65_537 } }, hashPolicies }),
      conf({
        loadBalancer: { type: "Random", random: {} },
        localityAwareness: {
          localZone: { affinityTags: [{ key: "topology.kubernetes.io/zone", weight: 9 }] },
          crossZone: {
            failover: [
              { from: { zones: ["a"] }, to: { type: "Only", zones: ["b"] } },
              { to: { type: "AnyExcept", zones: ["c"] } },
              { to: { type: "None" } },
            ],
            failoverThreshold: { percentage: "62.5" },
          },
        },
      }),
    ],
  };
  expect(meshLoadBalancingStrategyKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
});

const failover = (to: object) => ({ localityAwareness: { crossZone: { failover: [{ to }] } } });

test.each<[string, unknown, readonly unknown[]]>([
  [
    "another algorithm's field",
    { loadBalancer: { type: "Random", maglev: {} } },
    ["loadBalancer.maglev: belongs to a load balancer of type Maglev"],
  ],
  [
    "a table that is no prime",
    { loadBalancer: { type: "Maglev", maglev: { tableSize: 100 } } },
    [expect.stringContaining("expected a prime number")],
  ],
  [
    "one choice",
    { loadBalancer: { type: "LeastRequest", leastRequest: { choiceCount: 1 } } },
    [expect.stringContaining("loadBalancer.leastRequest.choiceCount: expected a whole number from 2")],
  ],
  [
    "a ring that is larger than its largest",
    { loadBalancer: { type: "RingHash", ringHash: { minRingSize: 20, maxRingSize: 10 } } },
    ["loadBalancer.ringHash.minRingSize: is 20, above maxRingSize, 10"],
  ],
  [
    "a hash of nothing",
    { hashPolicies: [{ type: "Header" }] },
    ["hashPolicies[0].header: is required for a hash policy of type Header"],
  ],
  [
    "zones of any",
    failover({ type: "Any", zones: ["a"] }),
    [expect.stringContaining("cannot be given with type Any")],
  ],
  ["only no zones", failover({ type: "Only" }), [expect.stringContaining("is required with type Only")]],
  [
    "weights for some",
    { localityAwareness: { localZone: { affinityTags: [{ key: "a", weight: 1 }, { key: "b" }] } } },
    ["localityAwareness.localZone.affinityTags: must have a weight each, or none of them"],
  ],
  [
    "a threshold of nothing",
    { localityAwareness: { crossZone: { failoverThreshold: { percentage: 0 } } } },
    ["localityAwareness.crossZone.failoverThreshold.percentage: must be above 0"],
  ],
  [
    "filter state",
    { hashPolicies: [{ type: "FilterState", filterState: { key: "k" } }] },
    ["warning: spec.to[0].default.hashPolicies[0] has no effect: filter state is Envoy's; hash a header"],
  ],
])("check refuses %s, or warns", (_what, conf, expected) => {
  expect(problems(conf)).toEqual(expected);
});
