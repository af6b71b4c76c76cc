import { isExplained, shareInterval, type Interval } from "./interval.js";
import type { Sample } from "./load.js";

/** Samples sent this soon after a change may have been decided before it; they count for neither. */
const SETTLE_MS = 1000;

export interface SplitReport {
  /** Share of v2 that the configuration asks for, 0 to 1. */
  readonly expected: number;
  readonly measured: number;
  readonly requests: number;
  readonly interval: Interval;
  readonly within: boolean;
}

/** Counts who answered: by weight for visitors without the header, and whether the header was always obeyed. */
export class SplitCounter {
  #expected: number;
  #since = Number.NEGATIVE_INFINITY;
  #requests = 0;
  #v2 = 0;
  /** A share that was measured before and was off: one bad phase is not made good by the next. */
  #wasOff: SplitReport | undefined;
  asked = 0;
  askedAndGotV1 = 0;

  constructor(expected: number) {
    this.#expected = expected;
  }

  /** The weight of v2 was changed at `now`. */
  expect(share: number, now: number): void {
    if (share === this.#expected) return;
    const before = this.report();
    if (!before.within) this.#wasOff ??= before;
    this.#expected = share;
    this.#since = now + SETTLE_MS;
    this.#requests = 0;
    this.#v2 = 0;
  }

  count(sample: Sample): void {
    if (sample.version === "") return;
    if (sample.asked) {
      this.asked++;
      if (sample.version !== "v2") this.askedAndGotV1++;
    } else if (sample.sentAt >= this.#since) {
      this.#requests++;
      if (sample.version === "v2") this.#v2++;
    }
  }

  /** The split since the last change of weights, or the first that was off. */
  report(): SplitReport {
    if (this.#wasOff !== undefined) return this.#wasOff;
    return {
      expected: this.#expected,
      measured: this.#requests === 0 ? 0 : this.#v2 / this.#requests,
      requests: this.#requests,
      interval: shareInterval(this.#v2, this.#requests),
      within: isExplained(this.#expected, this.#v2, this.#requests),
    };
  }
}
