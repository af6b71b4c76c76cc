import type { LoadTable } from "../contract.js";
import type { Assignment } from "../snapshot/assignment.js";
import type { EndpointPart } from "../snapshot/contract.js";
import type { Balancer } from "./balancer.js";
import type { CompiledPolicy } from "./compile-policy.js";
import { groupsOf, type Group, type Grouping } from "./groups.js";
import { effectiveHealth, type EndpointHealth } from "./health.js";
import { createCandidates } from "./weighted-draw.js";

/** A group with its balancer; undefined when requests of its share fail. */
export interface BalancedGroup extends Group {
  readonly balancer: Balancer | undefined;
}

/** Where the requests of a cluster go, as of one moment. */
export interface Balance {
  /** Empty when no endpoint can take requests. */
  readonly groups: readonly BalancedGroup[];
  /** Running sums of the groups' shares. */
  readonly upTo: readonly number[];
  /** Of every endpoint, in the cluster's order. */
  readonly health: readonly EndpointHealth[];
  /** The weight that each is balanced with. */
  readonly weights: readonly number[];
}

/**
 * Keeps a cluster's balance up to date with what the load table holds against its endpoints. Made anew when it is
 * looked at and something has changed, so that clusters without requests cost nothing.
 */
export class ClusterBalance {
  readonly #assignment: Assignment;
  readonly #endpoints: readonly EndpointPart[];
  readonly #grouping: Grouping;
  readonly #balancing: CompiledPolicy;
  /** What the present balance was made from. */
  #balance: Balance | undefined;
  #epoch = Number.NaN;
  #bits: readonly number[] = [];

  /** `endpoints` are those of `assignment`, in its order. */
  constructor(
    assignment: Assignment,
    endpoints: readonly EndpointPart[],
    grouping: Grouping,
    balancing: CompiledPolicy,
  ) {
    this.#assignment = assignment;
    this.#endpoints = endpoints;
    this.#grouping = grouping;
    this.#balancing = balancing;
  }

  /** The balance as of now. Two comparisons while nothing changes. */
  at(load: LoadTable): Balance {
    const balance = this.#balance;
    if (balance !== undefined && load.healthEpoch() === this.#epoch) return balance;
    return this.#renew(load);
  }

  /** The epoch is of all endpoints: only when one of this cluster's has changed is there anything to do. */
  #renew(load: LoadTable): Balance {
    // Before the bits: one that changes in between is seen next time.
    this.#epoch = load.healthEpoch();
    const bits = this.#endpoints.map(({ slot }) => load.unhealthy(slot));
    const before = this.#balance;
    if (before !== undefined && bits.every((one, index) => one === this.#bits[index])) return before;
    this.#bits = bits;
    this.#balance = this.#make(bits);
    return this.#balance;
  }

  #make(bits: readonly number[]): Balance {
    const assigned = this.#assignment.endpoints;
    const health = assigned.map((endpoint, index) => effectiveHealth(endpoint.health, bits[index]!));
    const weights = assigned.map(({ weight }) => weight);
    const members = { assignment: this.#assignment, endpoints: this.#endpoints, health, weights };
    const groups = groupsOf(members, this.#grouping).map((group) => ({
      ...group,
      balancer:
        group.endpoints.length === 0
          ? undefined
          : this.#balancing.policy(createCandidates(group.endpoints, group.weights)),
    }));
    let total = 0;
    return { groups, upTo: groups.map(({ share }) => (total += share)), health, weights };
  }
}
