const NONE: ReadonlySet<string> = new Set();

/** A set of names that is mostly empty, and takes next to no memory then: a control plane has a dozen for each of its proxies. */
export class FewNames implements Iterable<string> {
  #names: Set<string> | undefined;

  get size(): number {
    return this.#names?.size ?? 0;
  }

  has(name: string): boolean {
    return this.#names?.has(name) === true;
  }

  add(name: string): void {
    (this.#names ??= new Set()).add(name);
  }

  delete(name: string): void {
    if (this.#names?.delete(name) === true && this.#names.size === 0) this.#names = undefined;
  }

  clear(): void {
    this.#names = undefined;
  }

  keys(): Iterator<string> & Iterable<string> {
    return this[Symbol.iterator]();
  }

  [Symbol.iterator](): Iterator<string> & Iterable<string> {
    return (this.#names ?? NONE).values();
  }
}
