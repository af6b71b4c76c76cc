/** What an endpoint tells of its load (ORCA): the figures that weights are made of. */
export interface LoadReport {
  /** How busy it is, as a share of what it can do; above 1: more than it should be. 0 = it does not say. */
  readonly utilization: number;
  /** Requests a second, of all its callers; 0 = it does not say. */
  readonly requestsPerSecond: number;
  readonly errorsPerSecond: number;
}

const COLUMNS = 5;

/** Memory that the reports of so many slots take. */
export function reportBytes(maxSlots: number): number {
  return COLUMNS * 8 * maxSlots;
}

/** The last report of each endpoint: a row per slot of the load table, in memory that threads may share. */
export class ReportedLoads {
  readonly #utilization: Float64Array;
  readonly #requests: Float64Array;
  readonly #errors: Float64Array;
  /** Of the last report, and of the first of those that came without a gap; 0 = there was none. */
  readonly #at: Float64Array;
  readonly #since: Float64Array;
  readonly #clockOffsetMs: number;

  /** A row per slot, in `reportBytes` of memory that begins as zeros. `clockOffsetMs` makes times those of all threads. */
  constructor(memory: ArrayBufferLike, maxSlots: number, clockOffsetMs = 0) {
    const column = (index: number): Float64Array => new Float64Array(memory, 8 * index * maxSlots, maxSlots);
    this.#utilization = column(0);
    this.#requests = column(1);
    this.#errors = column(2);
    this.#at = column(3);
    this.#since = column(4);
    this.#clockOffsetMs = clockOffsetMs;
  }

  /** Reports more than `gapMs` apart do not belong together. `now`: monotonic. */
  note(slot: number, report: LoadReport, now: number, gapMs: number): void {
    const at = this.#timeOf(now);
    const before = this.#at[slot]!;
    if (before === 0 || at - before >= gapMs) this.#since[slot] = at;
    this.#utilization[slot] = report.utilization;
    this.#requests[slot] = report.requestsPerSecond;
    this.#errors[slot] = report.errorsPerSecond;
    this.#at[slot] = at;
  }

  utilization(slot: number): number {
    return this.#utilization[slot]!;
  }

  requestsPerSecond(slot: number): number {
    return this.#requests[slot]!;
  }

  errorsPerSecond(slot: number): number {
    return this.#errors[slot]!;
  }

  /** Since the last report; infinite when there was none. */
  ageMs(slot: number, now: number): number {
    const at = this.#at[slot]!;
    return at === 0 ? Number.POSITIVE_INFINITY : this.#timeOf(now) - at;
  }

  /** For how long reports have come without a gap. */
  spanMs(slot: number, now: number): number {
    const since = this.#since[slot]!;
    return since === 0 ? 0 : this.#timeOf(now) - since;
  }

  /** The slot begins anew, with another identity. */
  reset(slot: number): void {
    this.#at[slot] = 0;
    this.#since[slot] = 0;
  }

  /** Never 0, which means that there is no time. */
  #timeOf(now: number): number {
    return now + this.#clockOffsetMs || Number.MIN_VALUE;
  }
}
