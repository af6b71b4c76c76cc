import { disposable, MeshError, type Disposable } from "@tulle/base";

/** The lists that can be watched. */
export type Topic = "services" | "nodes" | "checks" | `service/${string}` | `node/${string}`;

/**
 * Consul's modification index: a counter that every change raises, and for each list that can be watched the index of
 * its newest change. Listeners of a list hear of each one.
 */
export class ChangeIndex {
  #current: number;
  readonly #topics = new Map<Topic, number>();
  /** The newest removal of a topic: lists that are not there report it, so that their removal is seen as a change. */
  #floor: number;
  readonly #listeners = new Map<Topic, Set<() => void>>();
  #listenerCount = 0;
  readonly #maxListeners: number;

  /** `start` is at least 1: to Consul's clients 0 means "no index". */
  constructor(start: number, maxListeners: number) {
    this.#current = start;
    this.#floor = start;
    this.#maxListeners = maxListeners;
  }

  /** The newest index of all. */
  get current(): number {
    return this.#current;
  }

  /** How many wait now. */
  get listenerCount(): number {
    return this.#listenerCount;
  }

  /** Begins a change: the index that its `touch` calls are to be made with. */
  next(): number {
    this.#current += 1;
    return this.#current;
  }

  /** Goes on from a higher index, as after a restart. Nobody is told. */
  restart(index: number): void {
    this.#current = Math.max(this.#current, index);
    this.#floor = this.#current;
  }

  /** Index of the newest change of a list. */
  of(topic: Topic): number {
    return this.#topics.get(topic) ?? this.#floor;
  }

  touch(topic: Topic, index: number): void {
    this.#topics.set(topic, index);
  }

  /** The list is gone. */
  remove(topic: Topic, index: number): void {
    this.#topics.delete(topic);
    this.#floor = index;
  }

  /** Tells those who listen to a topic; to be called when the change can be read. */
  announce(topic: Topic): void {
    for (const listener of this.#listeners.get(topic) ?? []) listener();
  }

  /** Calls `listener` on each change. Throws `exhausted` REGISTRY_TOO_MANY_WATCHES at the limit. */
  listen(topic: Topic, listener: () => void): Disposable {
    if (this.#listenerCount >= this.#maxListeners) {
      throw new MeshError(
        "exhausted",
        "REGISTRY_TOO_MANY_WATCHES",
        `${this.#maxListeners} blocking queries wait already: retry later, or ask without "index"`,
      );
    }
    this.#listenerCount += 1;
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners.add(listener));
    return disposable(() => {
      this.#listenerCount -= 1;
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(topic) === listeners) this.#listeners.delete(topic);
    });
  }
}
