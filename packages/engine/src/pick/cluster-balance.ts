import {
  UNHEALTHY_CHECK,
  UNHEALTHY_DEGRADED,
  UNHEALTHY_EJECTED,
  UNHEALTHY_PROBATION,
  UNHEALTHY_PROBE_WANTED,
  type LoadTable,
} from "../contract.js";
import type { Assignment } from "../snapshot/assignment.js";
import type { EndpointPart } from "../snapshot/contract.js";
import type { Balancer } from "./balancer.js";
import type { CompiledPolicy } from "./compile-policy.js";
import { groupsOf, type Group, type Grouping } from "./groups.js";
import { effectiveHealth, type EndpointHealth } from "./health.js";
import { stepMs, warmth } from "./slow-start.js";
import type { PriorityHealth } from "./priority-shares.js";
import { weighReported } from "./reported-weights.js";
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
  /** Endpoints on probation, for which a request is wanted. Nearly always none. */
  readonly probed: readonly EndpointPart[];
}

const NOBODY: ReadonlySet<number> = new Set();
const NOBODY_PROBED: readonly EndpointPart[] = [];
/** Of an endpoint that is ejected and not ill otherwise, and wants a request. */
const PROBED_BITS = UNHEALTHY_EJECTED | UNHEALTHY_PROBATION | UNHEALTHY_PROBE_WANTED;

/**
 * Keeps a cluster's balance up to date with what the load table holds against its endpoints. Made anew when it is
 * looked at and something has changed, so that clusters without requests cost nothing.
 */
export class ClusterBalance {
  readonly #assignment: Assignment;
  readonly #endpoints: readonly EndpointPart[];
  readonly #grouping: Grouping;
  readonly #balancing: CompiledPolicy;
  readonly #included: ReadonlySet<number> | undefined;
  /** What the present balance was made from. */
  #balance: Balance | undefined;
  #epoch = Number.NaN;
  #bits: readonly number[] = [];
  /** What `besides` made last, of what. */
  #others: { readonly present: Balance; readonly key: string; readonly balance: Balance } | undefined;
  /** While endpoints warm up, or are weighed by their reports: when weights change next. */
  #until = Number.POSITIVE_INFINITY;

  /** Slots of the endpoints that came after the cluster's first ones, while it had slow start: those warm up. */
  readonly newcomers: ReadonlySet<number>;

  /**
   * `endpoints` are those of `assignment`, in its order; `included` the positions of those that may get requests, default
   * all.
   */
  constructor(
    assignment: Assignment,
    endpoints: readonly EndpointPart[],
    grouping: Grouping,
    balancing: CompiledPolicy,
    newcomers: ReadonlySet<number>,
    included?: ReadonlySet<number>,
  ) {
    this.#assignment = assignment;
    this.#endpoints = endpoints;
    this.#grouping = grouping;
    this.#balancing = balancing;
    this.#included = included;
    this.newcomers = balancing.slowStart === undefined ? NOBODY : newcomers;
  }

  /** For people: `least request`. */
  get policyName(): string {
    return this.#balancing.name;
  }

  priorityOf(index: number): number {
    return this.#assignment.endpoints[index]!.priority;
  }

  /** `region/zone/sub-zone` of an endpoint, "" when it has none. */
  localityOf(index: number): string {
    return this.#assignment.localityNames[this.#assignment.endpoints[index]!.locality]!;
  }

  /** Whether its policy goes by what a request hashes to. */
  get hashed(): boolean {
    return this.#balancing.hashed;
  }

  /** How many endpoints each priority has, in order, and how many of them can take requests. */
  levels(load: LoadTable, now: number): readonly PriorityHealth[] {
    const { health } = this.at(load, now);
    const levels = new Map<number, { endpoints: number; healthy: number; degraded: number }>();
    this.#assignment.endpoints.forEach(({ priority }, index) => {
      let level = levels.get(priority);
      if (level === undefined) levels.set(priority, (level = { endpoints: 0, healthy: 0, degraded: 0 }));
      if (health[index] !== "draining") level.endpoints++;
      if (health[index] === "healthy") level.healthy++;
      if (health[index] === "degraded") level.degraded++;
    });
    return [...levels].sort(([left], [right]) => left - right).map(([, level]) => level);
  }

  /** The balance as of now. Two comparisons while nothing changes. */
  at(load: LoadTable, now: number): Balance {
    const balance = this.#balance;
    if (balance !== undefined && load.healthEpoch() === this.#epoch && now < this.#until) return balance;
    return this.#renew(load, now);
  }

  /**
   * The balance as if the priorities of these endpoints had nobody that is healthy; the present one when there are no
   * others. For retries: kept until another is asked for or something changes.
   */
  besides(load: LoadTable, now: number, triedSlots: readonly number[]): Balance {
    const present = this.at(load, now);
    const assigned = this.#assignment.endpoints;
    const priorities = new Set(
      assigned
        .filter((_, index) => triedSlots.includes(this.#endpoints[index]!.slot))
        .map((one) => one.priority),
    );
    const key = [...priorities].sort((left, right) => left - right).join();
    if (this.#others?.present === present && this.#others.key === key) return this.#others.balance;
    const bits = this.#bits.map((one, index) =>
      priorities.has(assigned[index]!.priority) ? one | UNHEALTHY_CHECK : one,
    );
    const until = this.#until;
    const made = this.#make(load, bits, now);
    this.#until = Math.min(until, this.#until);
    const balance = made.groups.some(({ balancer }) => balancer !== undefined) ? made : present;
    this.#others = { present, key, balance };
    return balance;
  }

  /** The epoch is of all endpoints: only when one of this cluster's has changed is there anything to do. */
  #renew(load: LoadTable, now: number): Balance {
    // Before the bits: one that changes in between is seen next time.
    this.#epoch = load.healthEpoch();
    const bits = this.#endpoints.map(({ slot }) => load.unhealthy(slot));
    const before = this.#balance;
    const sameBits = bits.every((one, index) => one === this.#bits[index]);
    if (before !== undefined && sameBits && now < this.#until) return before;
    this.#bits = bits;
    this.#balance = this.#make(load, bits, now);
    return this.#balance;
  }

  #make(load: LoadTable, bits: readonly number[], now: number): Balance {
    const assigned = this.#assignment.endpoints;
    const health = assigned.map((endpoint, index) => effectiveHealth(endpoint.health, bits[index]!));
    const weights = this.#weigh(load, health, now);
    const members = {
      assignment: this.#assignment,
      endpoints: this.#endpoints,
      health,
      weights,
      included: this.#included,
    };
    const groups = groupsOf(members, this.#grouping).map((group) => ({
      ...group,
      balancer:
        group.endpoints.length === 0
          ? undefined
          : this.#balancing.policy(createCandidates(group.endpoints, group.weights)),
    }));
    let total = 0;
    const upTo = groups.map(({ share }) => (total += share));
    return { groups, upTo, health, weights, probed: this.#probedOf(bits) };
  }

  /** Those that nothing else is held against. */
  #probedOf(bits: readonly number[]): readonly EndpointPart[] {
    if (!bits.some((one) => (one & UNHEALTHY_PROBE_WANTED) !== 0)) return NOBODY_PROBED;
    return this.#endpoints.filter(
      ({ healthy }, index) =>
        healthy &&
        (bits[index]! & ~UNHEALTHY_DEGRADED) === PROBED_BITS &&
        this.#included?.has(index) !== false,
    );
  }

  /** The weights as assigned, or by what endpoints report; less for who is warming up. Notes when they change next. */
  #weigh(load: LoadTable, health: readonly EndpointHealth[], now: number): readonly number[] {
    const { slowStart, reported } = this.#balancing;
    this.#until = Number.POSITIVE_INFINITY;
    if (reported !== undefined) {
      this.#until = now + reported.updateMs;
      const slots = this.#endpoints.map(({ slot }) => slot);
      const assigned = this.#assignment.endpoints.map(({ weight }) => weight);
      return weighReported(load, reported, slots, assigned, now);
    }
    if (slowStart === undefined) return this.#assignment.endpoints.map(({ weight }) => weight);
    return this.#assignment.endpoints.map(({ weight }, index) => {
      // Nobody warms up without requests.
      if (health[index] === "unhealthy" || health[index] === "draining") return weight;
      const age = now - this.#warmSince(load, this.#endpoints[index]!.slot, now);
      if (age >= slowStart.windowMs) return weight;
      this.#until = Math.min(this.#until, now + stepMs(slowStart));
      return weight * warmth(slowStart, age);
    });
  }

  /** Warming begins when an endpoint is first looked at: all threads go by what the first of them notes. */
  #warmSince(load: LoadTable, slot: number, now: number): number {
    const noted = load.warmSince(slot);
    if (noted !== 0) return noted;
    const since = this.newcomers.has(slot) ? Math.max(now, Number.MIN_VALUE) : Number.NEGATIVE_INFINITY;
    load.setWarmSince(slot, since);
    return since;
  }
}
