import { MeshError } from "@tulle/base";

/** Runs tasks of one key one after the other, tasks of different keys side by side. */
export class KeyedQueue {
  readonly #tails = new Map<string, Promise<void>>();
  readonly #maxPending: number;
  #pending = 0;

  constructor(maxPending: number) {
    this.#maxPending = maxPending;
  }

  /** What the task gives, or throws. Rejects with `exhausted` REGISTRY_BUSY when too many tasks wait. */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    if (this.#pending >= this.#maxPending) {
      throw new MeshError(
        "exhausted",
        "REGISTRY_BUSY",
        `${this.#pending} changes wait to be stored: retry later`,
      );
    }
    this.#pending += 1;
    const before = this.#tails.get(key);
    const running = before === undefined ? task() : before.then(task);
    const tail = running.then(ignore, ignore);
    this.#tails.set(key, tail);
    try {
      return await running;
    } finally {
      this.#pending -= 1;
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }

  /** Resolves when everything that was asked for by now is done. */
  async idle(): Promise<void> {
    await Promise.all(this.#tails.values());
  }
}

function ignore(): void {}
