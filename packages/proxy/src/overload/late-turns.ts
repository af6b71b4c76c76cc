import type { Clock } from "@tulle/base";

/** Every so many requests the clock is read, which costs 45 ns. */
const REQUESTS_PER_LOOK = 8;
/** One long turn is a pass of the garbage collector; two in so many milliseconds are more than the thread can do. */
const AGAIN_MS = 100;
/** What becomes, turn by turn, of the number of requests that may wait for an answer: in a late one, and in another. */
const LATE_FACTOR = 0.9;
const CALM_FACTOR = 1.05;
/** So many may always wait: enough to keep a fast server busy. From so many on they are not limited any more. */
const LEAST_WAITING = 64;
const MOST_WAITING = 10_000;

/**
 * Keeps a thread quick that gets more requests than it can carry. What a timer finds out comes too late for that: by then
 * the thread has taken in what it cannot do, and whatever comes waits behind it. So two things are limited that follow the
 * load at once:
 *
 * - Within a turn of the event loop requests are taken on until it is late, and refused from then on. What one turn refuses
 *   does not lengthen the next.
 * - What was taken on is answered in later turns. As long as turns are late, fewer and fewer requests may wait for their
 *   answer; when they are not, more again. A slow server has many that wait, and may, while the thread is not late for it.
 */
export class LateTurns {
  readonly #clock: Clock;
  readonly #turn: Clock;
  readonly #limitMs: number;
  /** Since the clock was read. */
  #requests = 0;
  /** When turns began: the last one that took too long, and the last one that refuses for it. */
  #longTurn = Number.NEGATIVE_INFINITY;
  #lateTurn = Number.NEGATIVE_INFINITY;
  /** The last one in which a request came, while it is limited how many may wait. */
  #seenTurn = Number.NEGATIVE_INFINITY;
  /** Sent on and not answered. */
  #waiting = 0;
  #mayWait = Number.POSITIVE_INFINITY;

  /** `turn`: stands still at the time when the turn began. A turn is late after `limitMs`. */
  constructor(clock: Clock, turn: Clock, limitMs: number) {
    this.#clock = clock;
    this.#turn = turn;
    this.#limitMs = limitMs;
  }

  /** Whether one more request is too much. Call for each. */
  isTooMuch(): boolean {
    return this.#isLate() || this.#waiting >= this.#mayWait;
  }

  /** What `isTooMuch` said last in this turn, without looking again. */
  get saidTooMuch(): boolean {
    return this.#lateTurn === this.#turn.monotonic() || this.#waiting >= this.#mayWait;
  }

  onSent(): void {
    this.#waiting++;
  }

  onAnswered(): void {
    this.#waiting--;
  }

  #isLate(): boolean {
    const began = this.#turn.monotonic();
    if (began === this.#lateTurn) return true;
    if (this.#mayWait !== Number.POSITIVE_INFINITY && began !== this.#seenTurn) this.#allowMore(began);
    if (++this.#requests < REQUESTS_PER_LOOK) return false;
    this.#requests = 0;
    if (began === this.#longTurn || this.#clock.monotonic() - began <= this.#limitMs) return false;
    const again = began - this.#longTurn < AGAIN_MS;
    this.#longTurn = began;
    if (!again) return false;
    this.#lateTurn = began;
    this.#mayWait = Math.max(LEAST_WAITING, Math.min(this.#mayWait, this.#waiting) * LATE_FACTOR);
    return true;
  }

  #allowMore(began: number): void {
    const before = this.#seenTurn;
    this.#seenTurn = began;
    if (before === this.#lateTurn) return;
    this.#mayWait = this.#mayWait * CALM_FACTOR + 1;
    if (this.#mayWait > MOST_WAITING) this.#mayWait = Number.POSITIVE_INFINITY;
  }
}
