import type { NamePolicy } from "./name-policy.js";

/** Sets of two ways each: a pair is looked for in two slots. */
const SLOTS = 128;
const NONE = -1;
/** Numbers start again here: they are kept in 32 bits, and a connection may live for months. */
const REBASE_AT = 1 << 30;

/**
 * What the peer's dynamic table holds, as the encoder must know it, and which pairs were seen once. Entries are
 * numbered by insertion, from 0 on; `inserted - 1 - number` is the position in the table.
 */
export class EncodingTable {
  // The entries, oldest first in a ring: what eviction and finding a name need.
  #ringNames: string[] = [];
  #ringSizes = new Uint16Array(0);
  #mask = -1;
  #inserted = 0;
  #count = 0;
  #bytes = 0;
  #maxBytes: number;
  // Pairs by hash.
  readonly #names: string[] = Array.from({ length: SLOTS }, () => "");
  readonly #values: string[] = Array.from({ length: SLOTS }, () => "");
  readonly #numbers = new Int32Array(SLOTS).fill(NONE);
  /** Last entry of a name, by the policy's id. */
  readonly #lastOfName = new Int32Array(256).fill(NONE);

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  /**
   * Slot of the pair: the one that holds it, or one made free for it, which then counts as seen. `seenBefore` tells them
   * apart.
   */
  slotOf(policy: NamePolicy, value: string): number {
    const { name } = policy;
    const length = value.length;
    let hash = policy.id * 0x1f + length;
    if (length > 0) {
      // Ends differ where values of one name differ: identifiers, paths, numbers.
      hash = Math.imul(hash, 31) + value.charCodeAt(length - 1);
      hash = Math.imul(hash, 31) + value.charCodeAt(length >>> 1);
      hash = Math.imul(hash, 31) + value.charCodeAt(length - (length >>> 2) - 1);
    }
    const slot = (hash ^ (hash >>> 9)) & (SLOTS - 1);
    if (this.#names[slot] === name && this.#values[slot] === value) return slot;
    const other = slot ^ 1;
    if (this.#names[other] === name && this.#values[other] === value) return other;
    // The way whose pair is not in the table goes; of two that are, the older.
    const victim = this.#numbers[slot]! <= this.#numbers[other]! ? slot : other;
    this.#names[victim] = name;
    this.#values[victim] = value;
    this.#numbers[victim] = NONE - 1;
    return victim;
  }

  /** Whether the pair in `slot` was there before the last `slotOf`; from now on it was. */
  seenBefore(slot: number): boolean {
    if (this.#numbers[slot]! > NONE - 1) return true;
    this.#numbers[slot] = NONE;
    return false;
  }

  /** Position of the pair in the dynamic table, or -1. */
  positionOfPair(slot: number): number {
    const number = this.#numbers[slot]!;
    return number >= 0 && number >= this.#inserted - this.#count ? this.#inserted - 1 - number : NONE;
  }

  /** Position of an entry with the name, or -1. */
  positionOfName(policy: NamePolicy): number {
    const number = this.#lastOfName[policy.id]!;
    if (number < 0 || number < this.#inserted - this.#count) return NONE;
    return this.#ringNames[number & this.#mask] === policy.name ? this.#inserted - 1 - number : NONE;
  }

  /** Whether an entry of this size is worth its place: one that displaces half of the table is not. */
  fits(size: number): boolean {
    return size <= this.#maxBytes >>> 1;
  }

  /** Notes that the peer adds the pair. `slot` is -1 when only the name is of use. `size` fits. */
  add(policy: NamePolicy, slot: number, size: number): void {
    this.#evictTo(this.#maxBytes - size);
    if (this.#count > this.#mask) this.#grow();
    if (this.#inserted >= REBASE_AT) this.#rebase();
    const number = this.#inserted++;
    this.#ringNames[number & this.#mask] = policy.name;
    this.#ringSizes[number & this.#mask] = size;
    this.#count++;
    this.#bytes += size;
    this.#lastOfName[policy.id] = number;
    if (slot >= 0) this.#numbers[slot] = number;
  }

  #evictTo(bytes: number): void {
    while (this.#count > 0 && this.#bytes > bytes) {
      this.#bytes -= this.#ringSizes[(this.#inserted - this.#count) & this.#mask]!;
      this.#count--;
    }
  }

  #rebase(): void {
    // A multiple of the ring's size, so that entries stay in their slots.
    const base = (this.#inserted - this.#count) & ~this.#mask;
    this.#inserted -= base;
    for (const numbers of [this.#numbers, this.#lastOfName]) {
      for (let i = 0; i < numbers.length; i++)
        if (numbers[i]! >= 0) numbers[i] = Math.max(NONE, numbers[i]! - base);
    }
  }

  #grow(): void {
    const size = Math.max(16, this.#count * 2);
    const names = Array.from({ length: size }, () => "");
    const sizes = new Uint16Array(size);
    for (let number = this.#inserted - this.#count; number < this.#inserted; number++) {
      names[number & (size - 1)] = this.#ringNames[number & this.#mask]!;
      sizes[number & (size - 1)] = this.#ringSizes[number & this.#mask]!;
    }
    this.#ringNames = names;
    this.#ringSizes = sizes;
    this.#mask = size - 1;
  }
}
