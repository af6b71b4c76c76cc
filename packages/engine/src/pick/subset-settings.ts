import type { JsonObject } from "@bufbuild/protobuf";
import {
  Cluster_LbSubsetConfig_LbSubsetFallbackPolicy as Fallback,
  Cluster_LbSubsetConfig_LbSubsetMetadataFallbackPolicy as MetadataFallback,
  Cluster_LbSubsetConfig_LbSubsetSelector_LbSubsetSelectorFallbackPolicy as SelectorFallback,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { at, invalid } from "../snapshot/invalid.js";

/** Who takes the requests for a subset that has no endpoint: nobody, any endpoint, or those of the default subset. */
export type SubsetFallback = "nobody" | "any" | "default";

/** Labels by whose values a cluster is divided into subsets. */
export interface SubsetSelector {
  readonly keys: readonly string[];
  /** Each subset is one endpoint: the first that has its value. */
  readonly singleHost: boolean;
  /** Undefined: as the cluster says. A list: the subset by these keys of the request alone. */
  readonly fallback: SubsetFallback | readonly string[] | undefined;
}

/** How requests choose among a cluster's endpoints by labels (Envoy's `lb_subset_config`). */
export interface SubsetSettings {
  readonly selectors: readonly SubsetSelector[];
  readonly fallback: SubsetFallback;
  readonly defaultSubset: JsonObject;
  /** Localities keep their weights within a subset. */
  readonly localityWeightAware: boolean;
  /** Where a fallback has nobody who is well, any endpoint does. */
  readonly panicModeAny: boolean;
  /** An endpoint whose label is a list has each of its values. */
  readonly listAsAny: boolean;
  /** Requests may bring a list of labels that are tried in turn (`fallback_list` of a route's metadata). */
  readonly takesLists: boolean;
  /** Labels of a request that no selector has do not count. */
  readonly allowsRedundantKeys: boolean;
}

const FALLBACK_LIST: number = MetadataFallback.FALLBACK_LIST;
/** More are refused: each request without a subset looks through them. */
const MAX_SELECTORS = 64;

/** What the two messages that configure subsets have in common; their enumerations have the same numbers. */
interface SubsetFields {
  readonly fallbackPolicy: number;
  readonly defaultSubset?: JsonObject | undefined;
  readonly subsetSelectors: readonly SelectorFields[];
  readonly allowRedundantKeys?: boolean;
  readonly localityWeightAware: boolean;
  readonly scaleLocalityWeight: boolean;
  readonly panicModeAny: boolean;
  readonly listAsAny: boolean;
  readonly metadataFallbackPolicy: number;
}

interface SelectorFields {
  readonly keys: readonly string[];
  readonly singleHostPerSubset: boolean;
  readonly fallbackPolicy: number;
  readonly fallbackKeysSubset: readonly string[];
}

/** Subsets, from either of the two messages that configure them; undefined without selectors. */
export function compileSubsets(field: string, config: SubsetFields): SubsetSettings | undefined {
  const { subsetSelectors, defaultSubset = {} } = config;
  if (subsetSelectors.length === 0) return undefined;
  const here = at(field, "subset_selectors");
  if (subsetSelectors.length > MAX_SELECTORS) throw invalid(here, `must be at most ${MAX_SELECTORS}`);
  if (config.scaleLocalityWeight) throw invalid(at(field, "scale_locality_weight"), "is not supported");
  return {
    selectors: subsetSelectors.map((selector, index) => compileSelector(`${here}[${index}]`, selector)),
    fallback: FALLBACKS[config.fallbackPolicy] ?? "nobody",
    defaultSubset,
    localityWeightAware: config.localityWeightAware,
    panicModeAny: config.panicModeAny,
    listAsAny: config.listAsAny,
    takesLists: config.metadataFallbackPolicy === FALLBACK_LIST,
    allowsRedundantKeys: config.allowRedundantKeys ?? false,
  };
}

const FALLBACKS: Readonly<Record<number, SubsetFallback>> = {
  [Fallback.NO_FALLBACK]: "nobody",
  [Fallback.ANY_ENDPOINT]: "any",
  [Fallback.DEFAULT_SUBSET]: "default",
};

function compileSelector(field: string, selector: SelectorFields): SubsetSelector {
  const keys = [...new Set(selector.keys)].sort();
  if (keys.length === 0 || keys.includes("")) throw invalid(at(field, "keys"), "must be names of labels");
  if (selector.singleHostPerSubset && keys.length > 1)
    throw invalid(at(field, "single_host_per_subset"), "is for selectors of one key");
  return {
    keys,
    singleHost: selector.singleHostPerSubset,
    fallback: compileFallback(field, selector, keys),
  };
}

function compileFallback(
  field: string,
  { fallbackPolicy, fallbackKeysSubset }: SelectorFields,
  keys: readonly string[],
): SubsetSelector["fallback"] {
  const fallback = SELECTOR_FALLBACKS[fallbackPolicy];
  if (fallback !== "keys") return fallback;
  const some = [...new Set(fallbackKeysSubset)].sort();
  // As in Envoy: with fewer keys each time, the search has an end.
  if (some.length === 0 || some.length >= keys.length || !some.every((key) => keys.includes(key)))
    throw invalid(at(field, "fallback_keys_subset"), "must be some of keys, and not all of them");
  return some;
}

const SELECTOR_FALLBACKS: Readonly<Record<number, SubsetFallback | "keys">> = {
  [SelectorFallback.NO_FALLBACK]: "nobody",
  [SelectorFallback.ANY_ENDPOINT]: "any",
  [SelectorFallback.DEFAULT_SUBSET]: "default",
  [SelectorFallback.KEYS_SUBSET]: "keys",
};
