import type { Clock, Disposable } from "@tulle/base";
import type { BlockingQuery } from "./query.js";

/** A list of Consul's API that can be watched. */
export interface WatchedList {
  /** Index of its newest change. */
  index(): number;
  /** The newest index that was ever given out, of any list. */
  newest(): number;
  /** Calls `listener` on each change. May refuse, with `exhausted`. */
  listen(listener: () => void): Disposable;
}

/** What waiting takes. */
export interface Waiting {
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/**
 * Waits until a list has a newer index than the client saw, the time is over, or the client went. An index that was
 * never given out (it is from before a restart that lost it) is answered at once: the client then starts over.
 */
export function waitForChange(
  list: WatchedList,
  { clock, random }: Waiting,
  { index, waitMs }: BlockingQuery,
  signal: AbortSignal,
): Promise<void> {
  const due = (): boolean => index === 0 || list.index() > index || index > list.newest();
  if (due() || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      listening[Symbol.dispose]();
      timer[Symbol.dispose]();
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const listening = list.listen(() => {
      if (due()) finish();
    });
    // Consul's jitter: clients that began to wait together do not come back together.
    const timer = clock.setTimeout(finish, waitMs + (random() * waitMs) / 16, { keepAlive: false });
    signal.addEventListener("abort", finish, { once: true });
  });
}
