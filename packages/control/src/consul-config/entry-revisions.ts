import { CONSUL_GROUP } from "@tulle/api";
import { disposable, MeshError, type Disposable } from "@tulle/base";
import type { WatchedList } from "@tulle/registry";

import type { ConfigIndex } from "../config/index.js";

/** Blocking queries that wait at a time. */
const MAX_WAITING = 8_192;

/** When the entries of Consul's kinds changed last, for blocking queries. Revisions are those of the store. */
export class EntryRevisions implements Disposable {
  readonly #config: Pick<ConfigIndex, "revision">;
  /** What is not known better: no entry changed since. */
  readonly #start: number;
  readonly #newest = new Map<string, number>();
  readonly #listeners = new Set<(kind: string) => void>();
  readonly #subscription: Disposable;

  constructor(config: Pick<ConfigIndex, "revision" | "onChange">) {
    this.#config = config;
    // To Consul's clients 0 means "no index".
    this.#start = Math.max(1, config.revision);
    this.#subscription = config.onChange(({ keys, revision }) => {
      for (const { group, kind } of keys) {
        if (group !== CONSUL_GROUP) continue;
        this.#newest.set(kind, revision);
        for (const listener of this.#listeners) listener(kind);
      }
    });
  }

  /** The entries of some kinds as a list that can be watched. */
  list(kinds: readonly string[]): WatchedList {
    return {
      index: () => Math.max(this.#start, ...kinds.map((kind) => this.#newest.get(kind) ?? 0)),
      newest: () => Math.max(this.#start, this.#config.revision),
      listen: (listener) => this.#listen(kinds, listener),
    };
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
    this.#listeners.clear();
  }

  #listen(kinds: readonly string[], listener: () => void): Disposable {
    if (this.#listeners.size >= MAX_WAITING) {
      const message = `${MAX_WAITING} blocking queries wait already: retry later, or ask without "index"`;
      throw new MeshError("exhausted", "CONSUL_CONFIG_WATCHES", message);
    }
    const onChange = (kind: string): void => {
      if (kinds.includes(kind)) listener();
    };
    this.#listeners.add(onChange);
    return disposable(() => this.#listeners.delete(onChange));
  }
}
