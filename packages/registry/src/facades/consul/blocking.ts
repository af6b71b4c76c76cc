import type { Topic } from "../../change-index.js";
import type { Registry } from "../../registry.js";
import type { BlockingQuery } from "./query.js";

/**
 * Waits until a list has a newer index than the client saw, the time is over, or the client went. An index that was
 * never given out (it is from before a restart that lost it) is answered at once: the client then starts over.
 */
export function waitForChange(
  { catalog, clock, random }: Registry,
  topic: Topic,
  { index, waitMs }: BlockingQuery,
  signal: AbortSignal,
): Promise<void> {
  const due = (): boolean => index === 0 || catalog.index.of(topic) > index || index > catalog.index.current;
  if (due() || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      listening[Symbol.dispose]();
      timer[Symbol.dispose]();
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const listening = catalog.index.listen(topic, () => {
      if (due()) finish();
    });
    // Consul's jitter: clients that began to wait together do not come back together.
    const timer = clock.setTimeout(finish, waitMs + (random() * waitMs) / 16, { keepAlive: false });
    signal.addEventListener("abort", finish, { once: true });
  });
}
