import type { Clock, Timer } from "./clock.js";
import type { Disposable } from "./disposable.js";

/** One timer of a wheel, made once per connection and re-armed for ever after. */
export interface WheelTimer {
  /** Fires once, `delayMs` from now at the earliest and two ticks later at the latest. Arming again moves it. */
  arm(delayMs: number): void;
  disarm(): void;
  readonly armed: boolean;
  /** Milliseconds until it fires, as of now, to a tick; 0 when it is not armed. */
  readonly leftMs: number;
}

/**
 * Coarse shared timers: arming and disarming are a few pointer writes, and one host timer drives all of them, and only
 * while any is armed.
 *
 * ```
 *   slots  0   1   2 … n-1        a timer lies in slot (due tick mod n), in a ring with the slot's head
 *          ○   ○⇄t⇄t
 * ```
 */
export class TimerWheel implements Disposable {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #slots: Entry[];
  readonly #startMs: number;
  /** Ticks handled so far. */
  #cursor = 0;
  #armed = 0;
  #driver: Timer | undefined;
  #disposed = false;

  constructor(clock: Clock, tickMs: number, slots = 512) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#startMs = clock.monotonic();
    this.#slots = Array.from({ length: slots }, () => new Entry(undefined, undefined));
  }

  /** How many timers are armed. */
  get armed(): number {
    return this.#armed;
  }

  /** Monotonic milliseconds, by the wheel's clock. */
  get nowMs(): number {
    return this.#clock.monotonic();
  }

  timer(onTimer: () => void): WheelTimer {
    return new Entry(this, onTimer);
  }

  /** Disarms everything; timers armed later never fire. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#driver?.[Symbol.dispose]();
    this.#driver = undefined;
  }

  /** For entries only. */
  schedule(entry: Entry, delayMs: number): void {
    if (entry.linked) entry.unlink();
    else this.#armed++;
    const nowMs = this.#clock.monotonic() - this.#startMs;
    if (this.#driver === undefined) this.#start(nowMs);
    entry.dueTick = Math.floor(nowMs / this.#tickMs) + Math.ceil(Math.max(delayMs, 0) / this.#tickMs) + 1;
    const head = this.#slots[entry.dueTick % this.#slots.length];
    if (head !== undefined) entry.linkBefore(head);
  }

  /** For entries only. */
  untilMs(entry: Entry): number {
    return Math.max(0, this.#startMs + entry.dueTick * this.#tickMs - this.#clock.monotonic());
  }

  /** For entries only. */
  cancel(entry: Entry): void {
    if (!entry.linked) return;
    entry.unlink();
    this.#armed--;
  }

  #start(nowMs: number): void {
    if (this.#disposed) return;
    this.#cursor = Math.floor(nowMs / this.#tickMs);
    this.#driver = this.#clock.setInterval(() => this.#tick(), this.#tickMs, { keepAlive: false });
  }

  #tick(): void {
    if (this.#armed === 0) {
      this.#driver?.[Symbol.dispose]();
      this.#driver = undefined;
      return;
    }
    const now = Math.floor((this.#clock.monotonic() - this.#startMs) / this.#tickMs);
    // After a stall longer than a turn of the wheel one turn visits every slot.
    const from = Math.max(this.#cursor + 1, now - this.#slots.length + 1);
    const due: Entry[] = [];
    for (let tick = from; tick <= now; tick++) {
      const head = this.#slots[tick % this.#slots.length];
      for (let entry = head?.next; entry !== undefined && entry !== head; entry = entry.next) {
        if (entry.dueTick <= now) due.push(entry);
      }
    }
    this.#cursor = now;
    for (const entry of due) {
      // One that fired before it may have disarmed or moved it.
      if (entry.linked && entry.dueTick <= now) {
        this.cancel(entry);
        entry.fire();
      }
    }
  }
}

class Entry implements WheelTimer {
  next: Entry;
  previous: Entry;
  dueTick = 0;
  readonly #wheel: TimerWheel | undefined;
  readonly #onTimer: (() => void) | undefined;

  constructor(wheel: TimerWheel | undefined, onTimer: (() => void) | undefined) {
    this.#wheel = wheel;
    this.#onTimer = onTimer;
    this.next = this;
    this.previous = this;
  }

  get armed(): boolean {
    return this.linked;
  }

  get leftMs(): number {
    return this.linked && this.#wheel !== undefined ? this.#wheel.untilMs(this) : 0;
  }

  get linked(): boolean {
    return this.next !== this;
  }

  arm(delayMs: number): void {
    this.#wheel?.schedule(this, delayMs);
  }

  disarm(): void {
    this.#wheel?.cancel(this);
  }

  fire(): void {
    this.#onTimer?.();
  }

  linkBefore(head: Entry): void {
    this.previous = head.previous;
    this.next = head;
    head.previous.next = this;
    head.previous = this;
  }

  unlink(): void {
    this.previous.next = this.next;
    this.next.previous = this.previous;
    this.next = this;
    this.previous = this;
  }
}
