import { isCelList, isCelMap } from "@bufbuild/cel";

/**
 * What expressions of one policy may cost for one object, in units of at most a quarter of a microsecond: a call is one, so is a turn of a
 * loop, and whatever takes longer with more data costs more with it.
 */
export const MAX_COST = 1_000_000;
/** … and those of all policies for one write. */
export const MAX_COST_OF_WRITE = 5 * MAX_COST;

/** Longest text and list that an expression may make. */
const MAX_TEXT = 4 * 1024 * 1024;
const MAX_LIST = 100_000;
/** What comparing looks at, level by level. */
const MAX_DEPTH = 64;

/** Counts what expressions cost and stops them: nothing that they do may take longer than it says here. */
export class Budget {
  #ofWrite = 0;
  #given = 0;
  #left = 0;
  #spent = false;

  /** Whether an expression was stopped, whatever became of its error on the way. */
  get exhausted(): boolean {
    return this.#spent;
  }

  /** For a write that is about to be looked at. */
  startWrite(): void {
    this.#ofWrite = MAX_COST_OF_WRITE;
    this.#given = 0;
    this.#left = 0;
  }

  /** For one policy and what it is about: its share of what is left for the write. */
  start(): void {
    this.#ofWrite -= this.#given - Math.max(0, this.#left);
    this.#given = Math.min(MAX_COST, this.#ofWrite);
    this.#left = this.#given;
    this.#spent = false;
  }

  /** Throws when there is nothing left. */
  spend(cost: number): void {
    this.#left -= cost;
    if (this.#left >= 0) return;
    this.#spent = true;
    throw new Error(
      `it costs too much: over ${MAX_COST} units for a policy, ${MAX_COST_OF_WRITE} for all (a call or a turn of a loop is one)`,
    );
  }

  /** For looking at a value once, without what is in it. */
  spendShallow(value: unknown): void {
    this.spend(1 + lengthOf(value) / (typeof value === "string" ? 256 : 16));
  }

  /** For looking at all that is in a value. */
  spendDeep(value: unknown, depth = 0): void {
    this.spendShallow(value);
    if (depth >= MAX_DEPTH) return;
    if (isCelList(value)) for (const item of value) this.spendDeep(item, depth + 1);
    else if (isCelMap(value)) for (const item of value.values()) this.spendDeep(item, depth + 1);
  }

  /** For a text of that length that is about to be made. */
  spendText(length: number): void {
    if (length > MAX_TEXT) this.spend(Number.POSITIVE_INFINITY);
    this.spend(1 + length / 256);
  }

  /** For a list of that length that is about to be made. */
  spendList(length: number): void {
    if (length > MAX_LIST) this.spend(Number.POSITIVE_INFINITY);
    this.spend(1 + length / 8);
  }
}

/** Characters, bytes or entries of a value; 0 for those that have none. */
export function lengthOf(value: unknown): number {
  if (typeof value === "string" || value instanceof Uint8Array) return value.length;
  return isCelList(value) || isCelMap(value) ? value.size : 0;
}
