/** A limit on how many may do something at once; the others wait in order. */
export class Slots {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Calls `start` when there is a free slot, at once if there is one, and gives it a function to free the slot with.
   * The result gives up waiting.
   */
  take(start: (release: () => void) => void): () => void {
    const begin = (): void => start(this.#releaser());
    if (this.#free > 0) {
      this.#free -= 1;
      begin();
      return () => undefined;
    }
    this.#waiting.add(begin);
    return () => this.#waiting.delete(begin);
  }

  #releaser(): () => void {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      // A set iterates in order of insertion.
      for (const next of this.#waiting) {
        this.#waiting.delete(next);
        next();
        return;
      }
      this.#free += 1;
    };
  }
}
