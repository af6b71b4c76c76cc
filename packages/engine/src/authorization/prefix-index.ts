/** Lengths of prefixes: each is looked up for every request. */
const MAX_LENGTHS = 6;
const MAX_PREFIXES = 4096;

/** What is filed under prefixes of one length. */
export interface PrefixGroup<T> {
  readonly length: number;
  readonly rules: ReadonlyMap<string, readonly T[]>;
}

/** Files things under what a text begins with: to find them costs one look-up for each length of prefixes. */
export class PrefixIndex<T> {
  readonly #groups: { readonly length: number; readonly rules: Map<string, T[]> }[] = [];
  #prefixes = 0;

  get groups(): readonly PrefixGroup<T>[] {
    return this.#groups;
  }

  /** Files `value` under each of `prefixes`. False when it is not filed: there are none, or there would be too many. */
  add(prefixes: readonly string[] | undefined, value: T): boolean {
    if (prefixes === undefined) return false;
    const own = [...new Set(prefixes)];
    const lengths = new Set([...this.#groups, ...own].map(({ length }) => length));
    if (lengths.size > MAX_LENGTHS || this.#prefixes + own.length > MAX_PREFIXES) return false;
    this.#prefixes += own.length;
    for (const prefix of own) {
      const rules = this.#groupOf(prefix.length);
      const same = rules.get(prefix);
      if (same === undefined) rules.set(prefix, [value]);
      else same.push(value);
    }
    return true;
  }

  #groupOf(length: number): Map<string, T[]> {
    const known = this.#groups.find((group) => group.length === length);
    if (known !== undefined) return known.rules;
    const rules = new Map<string, T[]>();
    this.#groups.push({ length, rules });
    return rules;
  }
}
