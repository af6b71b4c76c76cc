/** Something with output to hand to its socket. */
export interface Flushable {
  flush(): void;
}

/** Stands where nothing waits. */
const NOTHING: Flushable = { flush: () => undefined };

/**
 * Collects who wrote during an event-loop turn and flushes each once, so that everything a turn produced for a
 * connection costs one system call.
 */
export class FlushQueue {
  // Arrays that only grow, and how much of the first is in use: setting `length` frees the memory of both every turn.
  #waiting: Flushable[] = [];
  #spare: Flushable[] = [];
  #count = 0;

  /** Flushes `item` at the end of this turn. Add it once per turn: the queue does not look for duplicates. */
  add(item: Flushable): void {
    if (this.#count === 0) setImmediate(this.#run);
    this.#waiting[this.#count++] = item;
  }

  readonly #run = (): void => {
    const items = this.#waiting;
    const count = this.#count;
    this.#waiting = this.#spare;
    this.#spare = items;
    this.#count = 0;
    for (let i = 0; i < count; i++) {
      const item = items[i] as Flushable;
      items[i] = NOTHING;
      item.flush();
    }
  };
}
