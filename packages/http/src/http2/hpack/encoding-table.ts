import { copyOf } from "../../latin1.js";
import type { NamePolicy } from "./name-policy.js";

/** Sets of two ways each: a pair is looked for in two slots. */
const SLOTS = 128;
/** A slot, or a name, without an entry. */
const NONE = -1;
const NO_NUMBERS = new Int32Array(0);
/** Numbers start again here: they are kept in 32 bits, and a connection may live for months. */
const REBASE_AT = 1 << 30;

/** Outcome of `EncodingTable.find` when the pair is not in the table. */
export const Pair = { SEEN: -1, NEW: -2 } as const;

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
  // Pairs by hash. The value is only held while the pair is, or was, in the table: as a copy, since a value cut from a
  // head keeps that head alive. One seen once is told by its hash, and a rare mistake costs a place in the table.
  #names: string[] = [];
  #values: string[] = [];
  #hashes = NO_NUMBERS;
  #numbers = NO_NUMBERS;
  #slot = 0;
  /** Last entry of a name, by the policy's id. */
  #lastOfName = NO_NUMBERS;

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

  /** Position of the pair in the table, or one of `Pair`; from now on it is seen. */
  find(policy: NamePolicy, value: string): number {
    if (this.#numbers.length === 0) {
      if (this.#maxBytes === 0) return Pair.NEW;
      this.#allocate();
    }
    const { name } = policy;
    const hash = hashOf(policy.id, value);
    const slot = (hash ^ (hash >>> 11)) & (SLOTS - 1);
    const other = slot ^ 1;
    if (this.#hashes[slot] === hash && this.#names[slot] === name && this.#holds(slot, value))
      this.#slot = slot;
    else if (this.#hashes[other] === hash && this.#names[other] === name && this.#holds(other, value))
      this.#slot = other;
    else {
      // The way whose pair never came into the table goes; of two that did, the older.
      this.#slot = this.#numbers[slot]! <= this.#numbers[other]! ? slot : other;
      this.#names[this.#slot] = name;
      this.#hashes[this.#slot] = hash;
      this.#values[this.#slot] = "";
      this.#numbers[this.#slot] = NONE;
      return Pair.NEW;
    }
    const number = this.#numbers[this.#slot]!;
    return number >= 0 && number >= this.#inserted - this.#count ? this.#inserted - 1 - number : Pair.SEEN;
  }

  /** Position of an entry with the name, or -1. */
  positionOfName(policy: NamePolicy): number {
    const number = this.#lastOfName[policy.id] ?? NONE;
    if (number < 0 || number < this.#inserted - this.#count) return NONE;
    return this.#ringNames[number & this.#mask] === policy.name ? this.#inserted - 1 - number : NONE;
  }

  /** Whether an entry of this size is worth its place: one that displaces half of the table is not. */
  fits(size: number): boolean {
    return size <= this.#maxBytes >>> 1;
  }

  /** Notes that the peer adds the pair that `find` was asked for last. `size` fits. */
  addPair(policy: NamePolicy, value: string, size: number): void {
    this.#numbers[this.#slot] = this.addName(policy, size);
    this.#values[this.#slot] = copyOf(value);
  }

  /** Notes that the peer adds an entry of which only the name is of use. Returns its number. `size` fits. */
  addName(policy: NamePolicy, size: number): number {
    if (this.#numbers.length === 0) this.#allocate();
    this.#evictTo(this.#maxBytes - size);
    if (this.#count > this.#mask) this.#grow();
    if (this.#inserted >= REBASE_AT) this.#rebase();
    const number = this.#inserted++;
    this.#ringNames[number & this.#mask] = policy.name;
    this.#ringSizes[number & this.#mask] = size;
    this.#count++;
    this.#bytes += size;
    this.#lastOfName[policy.id] = number;
    return number;
  }

  #holds(slot: number, value: string): boolean {
    return this.#numbers[slot]! < 0 || this.#values[slot] === value;
  }

  #evictTo(bytes: number): void {
    while (this.#count > 0 && this.#bytes > bytes) {
      this.#bytes -= this.#ringSizes[(this.#inserted - this.#count) & this.#mask]!;
      this.#count--;
    }
  }

  /** Not before a field is sent: an idle connection has none of this, 4 KiB, nor one without a table. */
  #allocate(): void {
    this.#names = Array.from({ length: SLOTS }, () => "");
    this.#values = Array.from({ length: SLOTS }, () => "");
    this.#hashes = new Int32Array(SLOTS);
    this.#numbers = new Int32Array(SLOTS).fill(NONE);
    this.#lastOfName = new Int32Array(256).fill(NONE);
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

/** Of the name's id, the length and six characters: ends differ where values of one name differ. */
function hashOf(id: number, value: string): number {
  const length = value.length;
  let hash = ((id << 8) + length) | 0;
  if (length === 0) return hash;
  hash = (Math.imul(hash, 31) + value.charCodeAt(length - 1)) | 0;
  hash = (Math.imul(hash, 31) + value.charCodeAt(length >>> 1)) | 0;
  if (length < 4) return hash;
  hash = (Math.imul(hash, 31) + value.charCodeAt(length - 2)) | 0;
  hash = (Math.imul(hash, 31) + value.charCodeAt(length - 3)) | 0;
  hash = (Math.imul(hash, 31) + value.charCodeAt(length - (length >>> 2) - 1)) | 0;
  return (Math.imul(hash, 31) + value.charCodeAt(length >>> 2)) | 0;
}
