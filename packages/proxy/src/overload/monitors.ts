import { getHeapStatistics } from "node:v8";

/** What is known of a thread's memory, as shares of what there may be; 0 where there is no limit. */
export interface MemoryUse {
  readonly heap: number;
  readonly memory: number;
}

/** Limits beyond this are none: what cgroups say that have none is a number near 2^63. */
const NO_LIMIT_BYTES = 2 ** 50;

/** Reads the heap of this thread, and the whole process against the limit of its cgroup. */
export function readMemoryUse(): MemoryUse {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  const allowed = process.constrainedMemory();
  const limited = allowed > 0 && allowed < NO_LIMIT_BYTES;
  return { heap: used / limit, memory: limited ? process.memoryUsage.rss() / allowed : 0 };
}

/** Of a late timer a part is chance: half of the next measurement counts, so that one slow turn alone changes little. */
const WEIGHT = 0.5;

/** How late timers fire: how long everything waits that this thread should do. */
export class EventLoopLag {
  #smoothedMs = 0;
  readonly #maxMs: number;

  /** `maxMs`: what counts at most, so that a machine that slept is not thought to be burdened for long. */
  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  get ms(): number {
    return this.#smoothedMs;
  }

  /** A timer that was due fired so late. */
  observe(lateMs: number): void {
    const late = Math.min(this.#maxMs, Math.max(0, lateMs));
    this.#smoothedMs += WEIGHT * (late - this.#smoothedMs);
  }
}
