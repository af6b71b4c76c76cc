/** Memory of one size that nobody uses at the moment, of all connections together. */
export class SpareMemory {
  readonly size: number;
  readonly #maxSpare: number;
  readonly #spare: Buffer[] = [];

  /** Keeps at most `maxSpare` pieces of `size` bytes. */
  constructor(size: number, maxSpare: number) {
    this.size = size;
    this.#maxSpare = maxSpare;
  }

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.size);
  }

  /** Takes a piece back: whoever gives it has no further use for it. */
  give(piece: Buffer): void {
    if (this.#spare.length < this.#maxSpare) this.#spare.push(piece);
  }
}
