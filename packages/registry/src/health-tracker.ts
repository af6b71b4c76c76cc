import type { Clock, Disposable } from "@tulle/base";
import { CheckRunners } from "./checks/check-runners.js";
import type { Probe } from "./checks/probe.js";
import type { CheckDefinition, CheckStatus } from "./definition.js";
import {
  serviceKey,
  type CheckState,
  type WritableCheck,
  type WritableNode,
  type WritableService,
} from "./state.js";

/** What a check belongs to: the whole node, or one service. */
export type CheckOwner = WritableNode | WritableService;

export function isService(owner: CheckOwner): owner is WritableService {
  return "node" in owner;
}

export interface HealthTrackerOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly probe: Probe;
  readonly maxConcurrent: number;
  /** What an alias check says now. */
  readonly aliased: (definition: CheckDefinition) => CheckResult;
  /** False: nothing runs, statuses stay as they are told. */
  readonly enabled: boolean;
  /** Gives the index of a change of status that is about to be made. */
  readonly nextIndex: () => number;
  /** The change is made. */
  readonly onTransition: (owner: CheckOwner, before: CheckStatus, check: CheckState) => void;
}

/** What a check has found out. */
export interface CheckResult {
  readonly status: CheckStatus;
  readonly output: string;
}

/** Runs the checks of the own node and writes their results into the states. */
export class HealthTracker implements Disposable {
  readonly #options: HealthTrackerOptions;
  readonly #runners: CheckRunners;
  /** By {@link serviceKey} of namespace and check id. */
  readonly #owners = new Map<string, CheckOwner>();
  /** Keys of the alias checks among them. */
  readonly #aliases = new Set<string>();
  #started = false;

  constructor(options: HealthTrackerOptions) {
    this.#options = options;
    const { clock, random, probe, maxConcurrent } = options;
    this.#runners = new CheckRunners({
      clock,
      random,
      probe,
      maxConcurrent,
      report: (key, status, output, silent) => this.#record(key, status, output, silent),
    });
  }

  /** Checks that are known by now begin to run; later ones at once. */
  start(): void {
    this.#started = this.#options.enabled;
    for (const owner of new Set(this.#owners.values())) this.adopt(undefined, owner);
  }

  [Symbol.dispose](): void {
    this.#started = false;
    this.#runners[Symbol.dispose]();
  }

  owner(namespace: string, checkId: string): CheckOwner | undefined {
    return this.#owners.get(serviceKey(namespace, checkId));
  }

  /** Takes on the checks of `next` and gives up those that only `previous` has. */
  adopt(previous: CheckOwner | undefined, next: CheckOwner | undefined): void {
    for (const check of previous?.checks.values() ?? []) {
      if (previous !== undefined && next?.checks.has(check.definition.id) !== true)
        this.release(previous, check);
    }
    for (const { definition } of next?.checks.values() ?? []) {
      const key = keyOf(definition);
      if (next !== undefined) this.#owners.set(key, next);
      if (definition.probe.kind === "alias") this.#aliases.add(key);
      else this.#aliases.delete(key);
      if (this.#started) this.#runners.start(key, definition);
    }
  }

  /** Gives up one check, if it is still this owner's. */
  release(owner: CheckOwner, { definition }: CheckState): void {
    const key = keyOf(definition);
    if (this.#owners.get(key) !== owner) return;
    this.#owners.delete(key);
    this.#aliases.delete(key);
    this.#runners.stop(key);
  }

  /** Something in the catalog has changed: alias checks are told what they stand for. */
  followAliases(): void {
    if (!this.#started) return;
    for (const key of this.#aliases) {
      const check = this.#owners.get(key)?.checks.get(key.slice(key.indexOf("\0") + 1));
      if (check === undefined) continue;
      const { status, output } = this.#options.aliased(check.definition);
      if (status !== check.status || output !== check.output) this.#record(key, status, output);
    }
  }

  /** The application's own word about a TTL check, and a sign of life. */
  tell(definition: CheckDefinition, status: CheckStatus, output: string): void {
    this.#runners.beat(keyOf(definition));
    this.#record(keyOf(definition), status, output);
  }

  #record(key: string, status: CheckStatus | undefined, output: string, silent = false): void {
    const owner = this.#owners.get(key);
    const check = owner?.checks.get(key.slice(key.indexOf("\0") + 1));
    if (owner === undefined || check === undefined) return;
    const cut = Buffer.from(output).subarray(0, check.definition.outputMaxBytes).toString("utf8");
    // Silence after it said that it is down takes nothing back; a word after silence does.
    const isAsBefore = status === check.status && (silent || check.silent !== true);
    if (status === undefined || isAsBefore) {
      owner.checks.set(check.definition.id, { ...check, output: cut });
      return;
    }
    const changed: WritableCheck = {
      ...check,
      status,
      output: cut,
      modifyIndex: this.#options.nextIndex(),
      criticalSinceMs: status === "critical" ? this.#options.clock.monotonic() : undefined,
      silent,
    };
    owner.checks.set(check.definition.id, changed);
    this.#options.onTransition(owner, check.status, changed);
  }
}

function keyOf({ namespace, id }: CheckDefinition): string {
  return serviceKey(namespace, id);
}
