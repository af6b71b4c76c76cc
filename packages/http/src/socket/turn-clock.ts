import type { Clock, Timer } from "@tulle/base";

import type { FlushQueue, Flushable } from "./flush-queue.js";

/** A thread is busy when so many turns with something to do lie within so long. */
const BUSY_TURNS = 50;
const BUSY_WITHIN_MS = 1000;

/**
 * A clock that stands still within an event-loop turn: reading the host's costs 60 ns, and a request asks for the time
 * a dozen times. It lags by no more than the turn takes.
 */
export class TurnClock implements Clock, Flushable {
  readonly #clock: Clock;
  readonly #queue: FlushQueue;
  #read = false;
  #nowMs = 0;
  #monotonicMs = 0;
  #onBusy: (() => void) | undefined;
  /** Turns since, while it is waited for that there are many. */
  #turns = 0;
  #sinceMs = 0;

  /** `queue` says when a turn ends. `onBusy`: the clock is read in many turns; called once. */
  constructor(clock: Clock, queue: FlushQueue, onBusy?: () => void) {
    this.#clock = clock;
    this.#queue = queue;
    this.#onBusy = onBusy;
  }

  now(): number {
    if (!this.#read) this.#readClock();
    return this.#nowMs;
  }

  monotonic(): number {
    if (!this.#read) this.#readClock();
    return this.#monotonicMs;
  }

  setTimeout(callback: () => void, delayMs: number, options?: { readonly keepAlive?: boolean }): Timer {
    return this.#clock.setTimeout(callback, delayMs, options);
  }

  setInterval(callback: () => void, periodMs: number, options?: { readonly keepAlive?: boolean }): Timer {
    return this.#clock.setInterval(callback, periodMs, options);
  }

  /** From the queue: the turn ends. */
  flush(): void {
    this.#read = false;
  }

  #readClock(): void {
    this.#read = true;
    this.#nowMs = this.#clock.now();
    this.#monotonicMs = this.#clock.monotonic();
    this.#queue.add(this);
    if (this.#onBusy !== undefined) this.#countTurn(this.#onBusy);
  }

  #countTurn(onBusy: () => void): void {
    if (this.#monotonicMs - this.#sinceMs > BUSY_WITHIN_MS) {
      this.#sinceMs = this.#monotonicMs;
      this.#turns = 0;
    }
    if (++this.#turns < BUSY_TURNS) return;
    this.#onBusy = undefined;
    onBusy();
  }
}
