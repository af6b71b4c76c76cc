/** A running timer. Disposing it twice, or after it fired, does nothing. */
export interface Timer {
  [Symbol.dispose](): void;
}

/**
 * Time as a dependency: code under test gets the fake clock of `@tulle/testkit`, programs get {@link systemClock}.
 * All times are numbers of milliseconds.
 */
export interface Clock {
  /** Wall clock: milliseconds since the epoch. May jump; for dates that people or other machines read. */
  now(): number;
  /** Milliseconds since an arbitrary start; never goes back. For measuring and for deadlines. */
  monotonic(): number;
  /** Calls `callback` once after `delayMs`. `keepAlive: false` lets the process end before. */
  setTimeout(callback: () => void, delayMs: number, options?: { readonly keepAlive?: boolean }): Timer;
  /** Calls `callback` every `periodMs` until disposed. */
  setInterval(callback: () => void, periodMs: number, options?: { readonly keepAlive?: boolean }): Timer;
}

// The host's timers and clocks, declared here so that this package compiles without any host's types.
interface HostTimer {
  unref?(): unknown;
}
declare function setTimeout(callback: () => void, delayMs: number): HostTimer;
declare function clearTimeout(timer: HostTimer): void;
declare function setInterval(callback: () => void, periodMs: number): HostTimer;
declare function clearInterval(timer: HostTimer): void;
declare const performance: { now(): number };

/** The longest delay that the host's timers take; longer ones would fire at once. */
const MAX_DELAY_MS = 2_147_483_647;

/** The process' own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout(callback, delayMs, options) {
    const timer = setTimeout(callback, Math.min(delayMs, MAX_DELAY_MS));
    if (options?.keepAlive === false) timer.unref?.();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
  setInterval(callback, periodMs, options) {
    const timer = setInterval(callback, Math.min(periodMs, MAX_DELAY_MS));
    if (options?.keepAlive === false) timer.unref?.();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  },
};

/** Resolves after `delayMs` of `clock`. */
export function delay(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimeout(resolve, delayMs);
  });
}
