/**
 * Looks in bytes, however they are split, for parts of which each must come behind the one before, with anything between
 * them (Envoy's matching of `receive`). Keeps no more of the bytes than a part could begin with.
 */
export class OrderedMatch {
  readonly #wanted: readonly Uint8Array[];
  #found = 0;
  #tail: Uint8Array = new Uint8Array();

  constructor(wanted: readonly Uint8Array[]) {
    this.#wanted = wanted;
  }

  /** Whether everything has come. */
  get complete(): boolean {
    return this.#found === this.#wanted.length;
  }

  /** Looks at the next bytes, which are borrowed. */
  push(bytes: Uint8Array): void {
    const data = new Uint8Array(this.#tail.length + bytes.length);
    data.set(this.#tail);
    data.set(bytes, this.#tail.length);
    let from = 0;
    for (; this.#found < this.#wanted.length; this.#found++) {
      const wanted = this.#wanted[this.#found]!;
      const at = find(data, wanted, from);
      if (at < 0) {
        this.#tail = data.subarray(Math.max(from, data.length - wanted.length + 1));
        return;
      }
      from = at + wanted.length;
    }
  }
}

function find(bytes: Uint8Array, wanted: Uint8Array, from: number): number {
  for (let at = from; at + wanted.length <= bytes.length; at++) {
    let length = 0;
    while (length < wanted.length && bytes[at + length] === wanted[length]) length++;
    if (length === wanted.length) return at;
  }
  return -1;
}
