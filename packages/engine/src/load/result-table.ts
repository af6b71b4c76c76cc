/**
 * What requests told about endpoints, and what became of it: a row per slot of the load table, in memory that threads may
 * share. Counts change by atomic operations; what led to an ejection is written by the one thread that ejects.
 */
export class ResultTable {
  readonly #counts: readonly Int32Array[];
  readonly #times: readonly Float64Array[];

  /** A row per slot, in `resultBytes` of memory that begins as zeros. */
  constructor(memory: ArrayBufferLike, maxSlots: number) {
    const times = Object.keys(ResultTime).length;
    this.#times = Array.from(
      { length: times },
      (_, column) => new Float64Array(memory, 8 * column * maxSlots, maxSlots),
    );
    this.#counts = Array.from(
      { length: Object.keys(ResultCount).length },
      (_, column) => new Int32Array(memory, (8 * times + 4 * column) * maxSlots, maxSlots),
    );
  }

  get(column: ResultCount, slot: number): number {
    return this.#counts[column]![slot]!;
  }

  set(column: ResultCount, slot: number, value: number): void {
    this.#counts[column]![slot] = value;
  }

  /** Counts one more and returns how many it makes. */
  add(column: ResultCount, slot: number): number {
    return Atomics.add(this.#counts[column]!, slot, 1) + 1;
  }

  /** Starts a count anew; returns what it was. Of several threads that do, one gets it. */
  take(column: ResultCount, slot: number): number {
    return Atomics.exchange(this.#counts[column]!, slot, 0);
  }

  time(column: ResultTime, slot: number): number {
    return this.#times[column]![slot]!;
  }

  setTime(column: ResultTime, slot: number, ms: number): void {
    this.#times[column]![slot] = ms;
  }

  /** The slot begins anew, with another identity. */
  reset(slot: number): void {
    for (const column of this.#counts) column[slot] = 0;
    for (const column of this.#times) column[slot] = 0;
  }
}

/** Columns of counts. */
export const ResultCount = {
  /** One after the other, since the last answer that was none. */
  CONSECUTIVE_5XX: 0,
  CONSECUTIVE_GATEWAY: 1,
  CONSECUTIVE_LOCAL: 2,
  /** Answers in the present interval, and those of them that were not a 5xx. */
  ANSWERS: 3,
  GOOD_ANSWERS: 4,
  /** Tries in the present interval by whether they got an answer at all. */
  TRIES: 5,
  ANSWERED_TRIES: 6,
  /** `OUTLIER_KINDS` index + 1 of the last ejection; 0 = there was none. */
  REASON: 7,
  /** Since the endpoint has its slot. */
  EJECTIONS: 8,
} as const;
export type ResultCount = (typeof ResultCount)[keyof typeof ResultCount];

/** Columns of times, milliseconds since the epoch: threads have no other time in common. */
export const ResultTime = {
  /** Of the last ejection. */
  EJECTED_AT: 0,
  /** When it ends at the earliest. */
  EJECTED_UNTIL: 1,
} as const;
export type ResultTime = (typeof ResultTime)[keyof typeof ResultTime];

/** Memory that a table of so many slots takes. */
export function resultBytes(maxSlots: number): number {
  return (8 * Object.keys(ResultTime).length + 4 * Object.keys(ResultCount).length) * maxSlots;
}
