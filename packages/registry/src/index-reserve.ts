import type { Logger } from "@tulle/base";
import type { RegistryPersistence } from "./persistence.js";
import { decodeIndex, encodeIndex, INDEX_KEY } from "./record-codec.js";

const STEP = 1000;

/**
 * Keeps the change index from going back over a restart, without a write for every change: a mark ahead of it is
 * stored, and a restart goes on from there. A client that waits with an old index then sees that something changed.
 */
export class IndexReserve {
  readonly #persistence: RegistryPersistence;
  readonly #logger: Logger;
  #mark = 0;
  #writing: Promise<void> | undefined;

  constructor(persistence: RegistryPersistence, logger: Logger) {
    this.#persistence = persistence;
    this.#logger = logger;
  }

  /** The index to go on from; at least 1. */
  async start(stored: Uint8Array | undefined): Promise<number> {
    const from = stored === undefined ? 1 : (decodeIndex(stored) ?? 1);
    this.#raise(from + STEP);
    await this.#writing;
    return from;
  }

  /** An index was given out: raises the mark in good time. */
  used(index: number): void {
    if (index > this.#mark - STEP / 2) this.#raise(index + STEP);
  }

  async idle(): Promise<void> {
    await this.#writing;
  }

  #raise(mark: number): void {
    if (this.#writing !== undefined) return;
    this.#writing = this.#persistence
      .put(INDEX_KEY, encodeIndex(mark))
      .then(() => {
        this.#mark = mark;
      })
      .catch((error: unknown) =>
        this.#logger.warn("the change index is not stored; trying again soon", { error }),
      )
      .finally(() => {
        this.#writing = undefined;
      });
  }
}
