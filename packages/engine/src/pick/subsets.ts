import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { LoadTable } from "../contract.js";
import { equalJson } from "../snapshot/metadata.js";
import type { EndpointPart } from "../snapshot/contract.js";
import type { ClusterBalance } from "./cluster-balance.js";
import type { SubsetFallback, SubsetSettings } from "./subset-settings.js";

/** Key of a route's labels that holds the lists of labels to be tried in turn. */
const FALLBACK_LIST = "fallback_list";

/** Endpoints that requests with some labels go to. */
export interface Subset {
  /** For people: `version=v1`, `any endpoint`. */
  readonly name: string;
  readonly balance: ClusterBalance;
}

/** Where nobody takes a request. */
const NOBODY: readonly Subset[] = [];
const NO_LABELS: JsonObject = {};

/**
 * The subsets of a cluster's endpoints, made as requests ask for them. Which subset it is depends on labels alone: as in
 * Envoy, one that has endpoints is not left because they are ill, but by a list, and by `panic_mode_any`.
 */
export class Subsets {
  readonly #settings: SubsetSettings;
  readonly #endpoints: readonly EndpointPart[];
  readonly #whole: ClusterBalance;
  readonly #balanceOver: (indexes: ReadonlySet<number>) => ClusterBalance;
  /** By what is asked for, as text; null = no endpoint has it. */
  readonly #made = new Map<string, Subset | null>();
  /** By the labels of a route, which is one object for all of its requests. */
  readonly #turns = new WeakMap<JsonObject, readonly Subset[]>();

  /** `whole`: the balance over all of `endpoints`; `balanceOver` makes one over some of them. */
  constructor(
    settings: SubsetSettings,
    endpoints: readonly EndpointPart[],
    whole: ClusterBalance,
    balanceOver: (indexes: ReadonlySet<number>) => ClusterBalance,
  ) {
    this.#settings = settings;
    this.#endpoints = endpoints;
    this.#whole = whole;
    this.#balanceOver = balanceOver;
  }

  /** The subset for requests with these labels, of several the first that has somebody; undefined = nobody takes them. */
  for(labels: JsonObject = NO_LABELS, load: LoadTable, now: number): Subset | undefined {
    let turns = this.#turns.get(labels);
    if (turns === undefined) this.#turns.set(labels, (turns = this.#turnsFor(labels)));
    if (turns.length < 2) return turns[0];
    for (const subset of turns) {
      const { groups } = subset.balance.at(load, now);
      if (groups.some(({ balancer }) => balancer !== undefined)) return subset;
    }
    return turns[turns.length - 1];
  }

  #turnsFor(labels: JsonObject): readonly Subset[] {
    const { takesLists, panicModeAny } = this.#settings;
    const { [FALLBACK_LIST]: list, ...own } = labels;
    const asked =
      takesLists && Array.isArray(list)
        ? list.filter(isObject).map((more) => ({ ...own, ...more }))
        : [takesLists ? own : labels];
    const found = asked.flatMap((one) => this.#search(one));
    return panicModeAny ? [...found, this.#any()] : found;
  }

  /** The subset of exactly these labels, or what stands in for one that has no endpoint. */
  #search(labels: JsonObject): readonly Subset[] {
    const { selectors, allowsRedundantKeys, fallback } = this.#settings;
    const keys = Object.keys(labels);
    const selector = selectors.find(
      (one) =>
        one.keys.every((key) => keys.includes(key)) &&
        (allowsRedundantKeys || one.keys.length === keys.length),
    );
    if (selector === undefined) return this.#fallBack(fallback);
    const wanted = some(labels, selector.keys);
    const found = this.#subset(wanted, selector.singleHost);
    if (found !== undefined) return [found];
    const instead = selector.fallback ?? fallback;
    return typeof instead === "string" ? this.#fallBack(instead) : this.#search(some(labels, instead));
  }

  #fallBack(fallback: SubsetFallback): readonly Subset[] {
    if (fallback === "any") return [this.#any()];
    if (fallback === "nobody") return NOBODY;
    const found = this.#subset(this.#settings.defaultSubset, false);
    return found === undefined ? NOBODY : [found];
  }

  #any(): Subset {
    return { name: "any endpoint", balance: this.#whole };
  }

  /** The endpoints that have all of the labels; undefined when there are none. */
  #subset(labels: JsonObject, singleHost: boolean): Subset | undefined {
    const key = `${singleHost}|${JSON.stringify(sorted(labels))}`;
    let subset = this.#made.get(key);
    if (subset === undefined) {
      const indexes = this.#endpoints.flatMap((endpoint, index) =>
        this.#has(endpoint, labels) ? [index] : [],
      );
      const members = new Set(singleHost ? indexes.slice(0, 1) : indexes);
      subset = members.size === 0 ? null : { name: nameOf(labels), balance: this.#balanceOver(members) };
      this.#made.set(key, subset);
    }
    return subset ?? undefined;
  }

  #has({ labels: own = NO_LABELS }: EndpointPart, wanted: JsonObject): boolean {
    return Object.keys(wanted).every((key) => {
      if (!Object.hasOwn(own, key)) return false;
      const value = own[key]!;
      const values = this.#settings.listAsAny && Array.isArray(value) ? value : [value];
      return values.some((one) => equalJson(one, wanted[key]!));
    });
  }
}

function some(labels: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.map((key) => [key, labels[key]!]));
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The same list for equal labels. */
function sorted(labels: JsonObject): readonly (readonly [key: string, value: JsonValue])[] {
  return Object.entries(labels).sort(([left], [right]) => (left < right ? -1 : 1));
}

/** `stage=prod,version=v1` */
function nameOf(labels: JsonObject): string {
  return sorted(labels)
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join();
}
