import type { EngineRequest } from "../contract.js";
import { firstFailure, TAKEN } from "./route-entry.js";
import type { RouteEntry } from "./route-entry.js";
import type { RuntimeValues } from "./runtime-values.js";

/** With fewer routes that are found by their path, trying one after the other is as fast. */
const MIN_INDEXED = 8;
/** Lengths of prefixes that are looked up, those that most routes have: each costs a look-up for every request. */
const MAX_LENGTHS = 32;

/**
 * A virtual host's routes, in order, and a way to the first that takes a request. Where many of them take one path only,
 * or paths that begin alike (APIs are like that), they are found by it: the rest is tried one after the other as ever.
 *
 * ```
 *  routes        0 /a   1 regex   2 prefix /b/   3 /b/c   4 /a (POST)   5 prefix /
 *  byPath        /a → 0 4     /b/c → 3
 *  byPrefix      /b/ → 2
 *  others        1 5
 *  request /b/c  1, 2, 3, 5: whichever takes it first, in this order
 * ```
 */
export class RouteIndex {
  readonly routes: readonly RouteEntry[];
  /** Whether anything is gained by it. */
  readonly #indexed: boolean;
  /** Positions of the routes for one path, rising. */
  readonly #byPath = new Map<string, number[]>();
  /** Positions of the routes for paths that begin so, rising. */
  readonly #byPrefix = new Map<string, number[]>();
  /** Lengths of those prefixes, rising. */
  readonly #lengths: readonly number[];
  /** Positions of the others, rising. */
  readonly #others: number[] = [];

  constructor(routes: readonly RouteEntry[], minIndexed = MIN_INDEXED) {
    this.routes = routes;
    const lengths = commonLengths(routes);
    routes.forEach(({ exactPath, prefix }, position) => {
      if (exactPath !== undefined) addTo(this.#byPath, exactPath, position);
      else if (prefix !== undefined && lengths.has(prefix.length)) addTo(this.#byPrefix, prefix, position);
      else this.#others.push(position);
    });
    this.#lengths = [...lengths].sort((left, right) => left - right);
    this.#indexed = routes.length - this.#others.length - this.#lengths.length >= minIndexed;
  }

  /** The first route all of whose conditions hold. `end` is `pathEnd` of the request's path. */
  first(
    request: EngineRequest,
    end: number,
    entropy: number,
    runtime: RuntimeValues,
  ): RouteEntry | undefined {
    if (this.#indexed)
      return this.#firstOf(this.#candidates(request.path, end), request, end, entropy, runtime);
    for (const entry of this.routes)
      if (firstFailure(entry, request, end, entropy, runtime) === TAKEN) return entry;
    return undefined;
  }

  /** Lists of positions, one of which any route that can take the path is in; returns how many there are. */
  #candidates(path: string, end: number): number {
    let count = 0;
    const exact = this.#byPath.get(end === path.length ? path : path.slice(0, end));
    if (exact !== undefined) lists[count++] = exact;
    for (const length of this.#lengths) {
      if (length > end) break;
      const beginning = this.#byPrefix.get(path.slice(0, length));
      if (beginning !== undefined) lists[count++] = beginning;
    }
    if (this.#others.length > 0) lists[count++] = this.#others;
    return count;
  }

  /** Goes through the lists together, by rising position. */
  #firstOf(
    count: number,
    request: EngineRequest,
    end: number,
    entropy: number,
    runtime: RuntimeValues,
  ): RouteEntry | undefined {
    for (let list = 0; list < count; list++) cursors[list] = 0;
    for (;;) {
      let position = Infinity;
      let from = -1;
      for (let list = 0; list < count; list++) {
        const next = lists[list]![cursors[list]!];
        if (next === undefined || next >= position) continue;
        position = next;
        from = list;
      }
      if (from < 0) return undefined;
      cursors[from]!++;
      const entry = this.routes[position]!;
      if (firstFailure(entry, request, end, entropy, runtime) === TAKEN) return entry;
    }
  }
}

/** What a look-up goes through. Lent from one to the next: none begins before the one before has ended. */
const lists: (readonly number[])[] = [];
const cursors: number[] = [];

/** The lengths of prefixes that most routes have. */
function commonLengths(routes: readonly RouteEntry[]): ReadonlySet<number> {
  const counts = new Map<number, number>();
  for (const { prefix } of routes) {
    if (prefix !== undefined) counts.set(prefix.length, (counts.get(prefix.length) ?? 0) + 1);
  }
  const most = [...counts].sort(([, left], [, right]) => right - left).slice(0, MAX_LENGTHS);
  return new Set(most.map(([length]) => length));
}

function addTo(positions: Map<string, number[]>, key: string, position: number): void {
  const same = positions.get(key);
  if (same === undefined) positions.set(key, [position]);
  else same.push(position);
}
