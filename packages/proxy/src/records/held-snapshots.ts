import type { Snapshot } from "@tulle/engine";

/** Configurations of the past that records refer to: the newest few, so that decisions can be made again with them. */
export class HeldSnapshots {
  readonly #most: number;
  readonly #held: Snapshot[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  hold(snapshot: Snapshot): void {
    const newest = this.#held.at(-1);
    if (newest === snapshot || this.#held.includes(snapshot)) return;
    this.#held.push(snapshot);
    if (this.#held.length > this.#most) this.#held.shift();
  }

  find(sequence: number): Snapshot | undefined {
    return this.#held.find((snapshot) => snapshot.sequence === sequence);
  }
}
