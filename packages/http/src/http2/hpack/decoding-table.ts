/**
 * Dynamic table of a decoder (RFC 7541 section 2.3.2): a ring that grows up to what the size limit can hold. The newest
 * entry has position 0.
 */
export class DecodingTable {
  #names: string[] = [];
  #values: string[] = [];
  /** Kind of the name alone, and of the whole field. */
  #nameKinds = new Uint8Array(0);
  #kinds = new Uint8Array(0);
  #mask = -1;
  /** Slot of the next entry. */
  #head = 0;
  #count = 0;
  #bytes = 0;
  #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get count(): number {
    return this.#count;
  }

  /** Size by RFC 7541 section 4.1: each entry's name and value and 32. */
  get bytes(): number {
    return this.#bytes;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Entries beyond the new size go. */
  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  name(position: number): string {
    return this.#names[(this.#head - 1 - position) & this.#mask]!;
  }

  value(position: number): string {
    return this.#values[(this.#head - 1 - position) & this.#mask]!;
  }

  nameKind(position: number): number {
    return this.#nameKinds[(this.#head - 1 - position) & this.#mask]!;
  }

  kind(position: number): number {
    return this.#kinds[(this.#head - 1 - position) & this.#mask]!;
  }

  /** Adds an entry; one larger than the table just empties it (section 4.4). */
  add(name: string, value: string, nameKind: number, kind: number): void {
    const size = name.length + value.length + 32;
    this.#evictTo(this.#maxBytes - size);
    if (size > this.#maxBytes) return;
    if (this.#count > this.#mask) this.#grow();
    const slot = this.#head & this.#mask;
    this.#names[slot] = name;
    this.#values[slot] = value;
    this.#nameKinds[slot] = nameKind;
    this.#kinds[slot] = kind;
    this.#head = (slot + 1) & this.#mask;
    this.#count++;
    this.#bytes += size;
  }

  #evictTo(bytes: number): void {
    while (this.#count > 0 && this.#bytes > bytes) {
      const slot = (this.#head - this.#count) & this.#mask;
      this.#bytes -= this.#names[slot]!.length + this.#values[slot]!.length + 32;
      // The texts may be long: nothing keeps them but this.
      this.#names[slot] = "";
      this.#values[slot] = "";
      this.#count--;
    }
  }

  /** Doubles the ring. It is full: the oldest entry lies at the head. */
  #grow(): void {
    const size = Math.max(8, this.#count * 2);
    const names: string[] = [];
    const values: string[] = [];
    const nameKinds = new Uint8Array(size);
    const kinds = new Uint8Array(size);
    for (let i = 0; i < size; i++) {
      const position = this.#count - 1 - i;
      names.push(position < 0 ? "" : this.name(position));
      values.push(position < 0 ? "" : this.value(position));
      if (position < 0) continue;
      nameKinds[i] = this.nameKind(position);
      kinds[i] = this.kind(position);
    }
    this.#names = names;
    this.#values = values;
    this.#nameKinds = nameKinds;
    this.#kinds = kinds;
    this.#head = this.#count;
    this.#mask = size - 1;
  }
}
