/** At most so many requests wait for configuration. */
export const MAX_PARKED = 1000;
/** And no longer than this, milliseconds. */
export const PARK_TIMEOUT_MS = 5000;

/** Can be woken to look at the configuration again. */
export interface Parked {
  onConfigurationChanged(): void;
}

/** Requests whose configuration has not arrived yet. */
export class ParkingLot {
  #waiting = new Set<Parked>();

  get size(): number {
    return this.#waiting.size;
  }

  /** False when the lot is full. */
  add(item: Parked): boolean {
    if (this.#waiting.size >= MAX_PARKED && !this.#waiting.has(item)) return false;
    this.#waiting.add(item);
    return true;
  }

  remove(item: Parked): void {
    this.#waiting.delete(item);
  }

  /** After the configuration changed: everybody looks again, in order of arrival; some come back. */
  wake(): void {
    if (this.#waiting.size === 0) return;
    const woken = this.#waiting;
    this.#waiting = new Set();
    for (const item of woken) item.onConfigurationChanged();
  }
}
