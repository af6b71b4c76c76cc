import type { EngineRequest } from "../contract.js";
import { firstFailure, TAKEN } from "./route-entry.js";
import type { RouteEntry } from "./route-entry.js";

/** With fewer exact paths trying one route after the other is as fast. */
const MIN_EXACT = 8;
const NONE: readonly number[] = [];

/**
 * A virtual host's routes, in order, and a way to the first that takes a request. Where many of them take one path only
 * (APIs are like that), they are found by it: the rest is tried one after the other as ever.
 *
 * ```
 *  routes      0 /a   1 prefix /x   2 /b   3 /a (POST)   4 prefix /
 *  byPath      /a → 0 3     /b → 2
 *  others      1 4
 *  request /b  1, 2, 4: whichever takes it first, in this order
 * ```
 */
export class RouteIndex {
  readonly routes: readonly RouteEntry[];
  /** Positions of the routes for one path, rising; undefined when there are too few to gain anything. */
  readonly #byPath: ReadonlyMap<string, readonly number[]> | undefined;
  /** Positions of the others, rising. */
  readonly #others: readonly number[];

  constructor(routes: readonly RouteEntry[], minExact = MIN_EXACT) {
    this.routes = routes;
    const byPath = new Map<string, number[]>();
    const others: number[] = [];
    routes.forEach(({ exactPath }, position) => {
      const same = exactPath === undefined ? others : byPath.get(exactPath);
      if (same === undefined) byPath.set(exactPath!, [position]);
      else same.push(position);
    });
    this.#byPath = routes.length - others.length >= minExact ? byPath : undefined;
    this.#others = others;
  }

  /** The first route all of whose conditions hold. `end` is `pathEnd` of the request's path. */
  first(request: EngineRequest, end: number, entropy: number): RouteEntry | undefined {
    const byPath = this.#byPath;
    if (byPath !== undefined) return this.#firstByPath(byPath, request, end, entropy);
    for (const entry of this.routes) if (firstFailure(entry, request, end, entropy) === TAKEN) return entry;
    return undefined;
  }

  #firstByPath(
    byPath: ReadonlyMap<string, readonly number[]>,
    request: EngineRequest,
    end: number,
    entropy: number,
  ): RouteEntry | undefined {
    const { path } = request;
    const exact = byPath.get(end === path.length ? path : path.slice(0, end)) ?? NONE;
    const others = this.#others;
    let nextExact = 0;
    let nextOther = 0;
    for (;;) {
      const fromExact = nextExact < exact.length ? exact[nextExact]! : Infinity;
      const fromOthers = nextOther < others.length ? others[nextOther]! : Infinity;
      if (fromExact === fromOthers) return undefined;
      let position: number;
      if (fromExact < fromOthers) {
        position = fromExact;
        nextExact++;
      } else {
        position = fromOthers;
        nextOther++;
      }
      const entry = this.routes[position]!;
      if (firstFailure(entry, request, end, entropy) === TAKEN) return entry;
    }
  }
}
