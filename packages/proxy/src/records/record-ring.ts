/** Bytes of one place. */
export const MAX_RECORD_BYTES = 1024;

/**
 * The newest records as bytes, in one piece of memory that is never freed: keeping one makes no garbage, and its strings
 * keep nothing else alive. `key` finds them; several may have the same.
 */
export class RecordRing {
  readonly #bytes: Buffer;
  readonly #lengths: Uint16Array;
  readonly #keys: Uint32Array;
  readonly #capacity: number;
  /** Where the next one goes. */
  #next = 0;

  /** `memory`: of `MAX_RECORD_BYTES` for each. */
  constructor(capacity: number, memory: Buffer = Buffer.alloc(capacity * MAX_RECORD_BYTES)) {
    this.#capacity = capacity;
    this.#bytes = memory;
    this.#lengths = new Uint16Array(capacity);
    this.#keys = new Uint32Array(capacity);
  }

  /** Keeps a text of Latin-1 characters, instead of the oldest one when there is no room. One that is too long is not kept. */
  add(key: number, text: string): void {
    if (text.length > MAX_RECORD_BYTES) return;
    const place = this.#next;
    this.#next = (place + 1) % this.#capacity;
    this.#bytes.write(text, place * MAX_RECORD_BYTES, text.length, "latin1");
    this.#lengths[place] = text.length;
    this.#keys[place] = key;
  }

  /** Texts kept under `key`, oldest first. */
  *find(key: number): Iterable<string> {
    for (let i = 0; i < this.#capacity; i++) {
      const place = (this.#next + i) % this.#capacity;
      const length = this.#lengths[place]!;
      if (length === 0 || this.#keys[place] !== key) continue;
      const start = place * MAX_RECORD_BYTES;
      yield this.#bytes.toString("latin1", start, start + length);
    }
  }
}
