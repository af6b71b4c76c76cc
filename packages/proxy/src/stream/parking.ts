/** Can be woken to look at the configuration again. */
export interface Parked {
  onConfigurationChanged(): void;
}

/** Requests whose configuration has not arrived yet. */
export class ParkingLot {
  /** How long one may wait, milliseconds. */
  readonly timeoutMs: number;
  readonly #maxParked: number;
  readonly #onFull: () => void;
  #waiting = new Set<Parked>();

  /** `onFull`: somebody was turned away. */
  constructor(maxParked: number, timeoutMs: number, onFull: () => void) {
    this.#maxParked = maxParked;
    this.timeoutMs = timeoutMs;
    this.#onFull = onFull;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** False when the lot is full. */
  add(item: Parked): boolean {
    if (this.#waiting.size >= this.#maxParked && !this.#waiting.has(item)) {
      this.#onFull();
      return false;
    }
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
