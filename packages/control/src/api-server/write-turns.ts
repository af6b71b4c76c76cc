import { MeshError } from "@tulle/base";

/** Writes that wait for their turn; more are refused with 429. */
const MAX_WAITING = 1_000;

/** Lets one write at a time look at what is stored and add to it, so that no two are right only without each other. */
export class WriteTurns {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** What the write gives, or throws. */
  async take<T>(write: () => Promise<T>): Promise<T> {
    if (this.#waiting >= MAX_WAITING) {
      const message = `${MAX_WAITING} writes wait already: try again later`;
      throw new MeshError("exhausted", "API_WRITES", message);
    }
    this.#waiting++;
    const mine = this.#last.then(write);
    this.#last = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      this.#waiting--;
    }
  }
}
