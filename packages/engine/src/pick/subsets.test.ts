import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import {
  Cluster_LbPolicy as LbPolicy,
  Cluster_LbSubsetConfig_LbSubsetFallbackPolicy as Fallback,
  Cluster_LbSubsetConfig_LbSubsetMetadataFallbackPolicy as MetadataFallback,
  Cluster_LbSubsetConfig_LbSubsetSelector_LbSubsetSelectorFallbackPolicy as SelectorFallback,
  Cluster_LbSubsetConfigSchema,
  type ClusterSchema,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { RoundRobinSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.js";
import { SubsetSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/subset/v3/subset_pb.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { UNHEALTHY_CHECK } from "../contract.js";
import { balanced, hosts } from "../testing/balanced.js";
import { packed, type EndpointInit } from "../testing/resources.js";
import { compileSubsets } from "./subset-settings.js";

type Config = MessageInitShape<typeof Cluster_LbSubsetConfigSchema>;

const at = (address: string, lb: JsonObject): EndpointInit => ({ address, metadata: { "envoy.lb": lb } });

const SHOP = [
  at("a", { version: "v1", stage: "prod" }),
  at("b", { version: "v1", stage: "canary" }),
  at("c", { version: "v2", stage: "prod" }),
  { address: "d" },
];
const BY_VERSION: Config = { subsetSelectors: [{ keys: ["version"] }] };

/** Who gets requests of a route with these labels. */
function takers(
  labels: JsonObject | undefined,
  lbSubsetConfig: Config,
  list: readonly EndpointInit[] = SHOP,
  ill: readonly string[] = [],
): string {
  const cluster: MessageInitShape<typeof ClusterSchema> = { lbPolicy: LbPolicy.RANDOM, lbSubsetConfig };
  return takersOf(labels, cluster, list, ill);
}

function takersOf(
  labels: JsonObject | undefined,
  cluster: MessageInitShape<typeof ClusterSchema>,
  list: readonly EndpointInit[] = SHOP,
  ill: readonly string[] = [],
): string {
  const metadataMatch = labels && { filterMetadata: { "envoy.lb": labels } };
  const mesh = balanced(list, cluster, metadataMatch && { metadataMatch });
  for (const address of ill) mesh.load.setUnhealthy(mesh.slotOf(address), UNHEALTHY_CHECK, true);
  return [...hosts(200, (entropy) => mesh.pick(entropy)).keys()].sort().join("");
}

test("requests go to the endpoints that have the labels of their route", () => {
  expect(takers({ version: "v1" }, BY_VERSION)).toBe("ab");
  expect(takers({ version: "v2" }, BY_VERSION)).toBe("c");
  const both: Config = { subsetSelectors: [{ keys: ["version"] }, { keys: ["stage", "version"] }] };
  expect(takers({ version: "v1", stage: "prod" }, both)).toBe("a");
  expect(takers({ version: "v1" }, both)).toBe("ab");
});

test("labels that no selector has, or none, fall back as the cluster says", () => {
  for (const labels of [undefined, { stage: "prod" }, { version: "v9" }, { version: "v1", stage: "prod" }]) {
    expect(takers(labels, BY_VERSION)).toBe("UH");
    expect(takers(labels, { ...BY_VERSION, fallbackPolicy: Fallback.ANY_ENDPOINT })).toBe("abcd");
    expect(
      takers(labels, {
        ...BY_VERSION,
        fallbackPolicy: Fallback.DEFAULT_SUBSET,
        defaultSubset: { stage: "canary" },
      }),
    ).toBe("b");
  }
});

test("a selector's own fallback comes first: by some of its keys, and on from there", () => {
  const config: Config = {
    fallbackPolicy: Fallback.ANY_ENDPOINT,
    subsetSelectors: [
      {
        keys: ["version", "stage", "zone"],
        fallbackPolicy: SelectorFallback.KEYS_SUBSET,
        fallbackKeysSubset: ["version", "stage"],
      },
      {
        keys: ["version", "stage"],
        fallbackPolicy: SelectorFallback.KEYS_SUBSET,
        fallbackKeysSubset: ["version"],
      },
      { keys: ["version"], fallbackPolicy: SelectorFallback.NO_FALLBACK },
      { keys: ["stage"], fallbackPolicy: SelectorFallback.NOT_DEFINED },
    ],
  };
  expect(takers({ version: "v1", stage: "prod", zone: "z" }, config)).toBe("a");
  expect(takers({ version: "v2", stage: "canary", zone: "z" }, config)).toBe("c");
  expect(takers({ version: "v9", stage: "prod", zone: "z" }, config)).toBe("UH");
  expect(takers({ stage: "nowhere" }, config)).toBe("abcd");
});

test("a list of labels is tried in turn, until somebody is well", () => {
  const config: Config = {
    subsetSelectors: [{ keys: ["version"] }, { keys: ["version", "stage"] }],
    metadataFallbackPolicy: MetadataFallback.FALLBACK_LIST,
  };
  const list = { fallback_list: [{ version: "v9" }, { version: "v2" }, { version: "v1" }] };
  expect(takers(list, config)).toBe("c");
  expect(takers(list, config, SHOP, ["c"])).toBe("ab");
  expect(takers({ stage: "canary", ...list }, config)).toBe("b");
  expect(takers(list, { ...config, metadataFallbackPolicy: 0 })).toBe("UH");
});

test("single_host_per_subset: a value stands for the first endpoint that has it", () => {
  const config: Config = { subsetSelectors: [{ keys: ["version"], singleHostPerSubset: true }] };
  expect(takers({ version: "v1" }, config)).toBe("a");
});

test("list_as_any: an endpoint has each value of a list", () => {
  const list = [at("a", { version: ["v1", "v2"] }), at("b", { version: "v2" })];
  expect(takers({ version: "v2" }, { ...BY_VERSION, listAsAny: true }, list)).toBe("ab");
  expect(takers({ version: "v2" }, BY_VERSION, list)).toBe("b");
});

test("a subset whose endpoints are all ill is not left, but with panic_mode_any", () => {
  const any: Config = { ...BY_VERSION, fallbackPolicy: Fallback.ANY_ENDPOINT };
  expect(takers({ version: "v2" }, any, SHOP, ["c"])).toBe("UH");
  expect(takers({ version: "v2" }, { ...BY_VERSION, panicModeAny: true }, SHOP, ["c"])).toBe("abd");
});

test("the policy subset says the same, with the policy that balances within", () => {
  const subset = packed(SubsetSchema, {
    subsetSelectors: [{ keys: ["version"] }],
    allowRedundantKeys: true,
    subsetLbPolicy: {
      policies: [{ typedExtensionConfig: { name: "rr", typedConfig: packed(RoundRobinSchema) } }],
    },
  });
  const cluster = {
    loadBalancingPolicy: { policies: [{ typedExtensionConfig: { name: "subset", typedConfig: subset } }] },
    // Is not looked at beside a policy.
    lbSubsetConfig: { subsetSelectors: [{ keys: ["stage"] }] },
  };
  expect(takersOf({ version: "v1", stage: "prod" }, cluster)).toBe("ab");
  expect(takersOf({ stage: "prod" }, cluster)).toBe("UH");
});

test("whatever the selectors, who gets a request without fallback has every label that was asked for", () => {
  const value = fc.constantFrom("1", "2");
  const labels = fc.dictionary(fc.constantFrom("x", "y", "z"), value, { minKeys: 1, maxKeys: 3 });
  fc.assert(
    fc.property(fc.array(labels, { minLength: 1, maxLength: 6 }), labels, (list, asked) => {
      const endpoints = list.map((own, index) => at(`e${index}`, own));
      const subsetSelectors = [["x"], ["x", "y"], ["x", "y", "z"], ["z"]].map((keys) => ({ keys }));
      const found = takers(asked, { subsetSelectors }, endpoints);
      const keys = Object.keys(asked).sort().join();
      const may = subsetSelectors.some((one) => one.keys.join() === keys);
      const expected = list.flatMap((own, index) =>
        may && Object.entries(asked).every(([key, one]) => own[key] === one) ? [`e${index}`] : [],
      );
      expect(found).toBe(expected.length === 0 ? "UH" : expected.join(""));
    }),
    { numRuns: 60 },
  );
});

test.each<[Config, string]>([
  [{ subsetSelectors: [{ keys: [] }] }, "subset_selectors[0].keys: must be names"],
  [
    { subsetSelectors: [{ keys: ["a", "b"], singleHostPerSubset: true }] },
    "subset_selectors[0].single_host_per_subset: is for selectors of one key",
  ],
  [
    {
      subsetSelectors: [
        { keys: ["a"], fallbackPolicy: SelectorFallback.KEYS_SUBSET, fallbackKeysSubset: ["a"] },
      ],
    },
    "subset_selectors[0].fallback_keys_subset: must be some of keys, and not all of them",
  ],
  [{ ...BY_VERSION, scaleLocalityWeight: true }, "scale_locality_weight: is not supported"],
])("subsets that make no sense are refused by field (#%#)", (config, message) => {
  expect(() => compileSubsets("lb_subset_config", create(Cluster_LbSubsetConfigSchema, config))).toThrow(
    `lb_subset_config.${message}`,
  );
});
