/** Something with output to hand to its socket. */
export interface Flushable {
  flush(): void;
}

/**
 * Collects who wrote during an event-loop turn and flushes each once, so that everything a turn produced for a
 * connection costs one system call.
 */
export class FlushQueue {
  #waiting: Flushable[] = [];
  #spare: Flushable[] = [];

  /** Flushes `item` at the end of this turn. Add it once per turn: the queue does not look for duplicates. */
  add(item: Flushable): void {
    if (this.#waiting.push(item) === 1) setImmediate(this.#run);
  }

  readonly #run = (): void => {
    const items = this.#waiting;
    this.#waiting = this.#spare;
    for (const item of items) item.flush();
    items.length = 0;
    this.#spare = items;
  };
}
