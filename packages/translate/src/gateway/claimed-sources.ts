import { overlap } from "../subnets.js";

/** Any client. */
const ANY = undefined;

/**
 * What earlier rules have taken of a port's connections: names that TLS asks for, and of each the blocks of client addresses. Envoy
 * takes the narrowest block, rules are in order: a block that an earlier rule has must not be there again.
 */
export class ClaimedSources {
  readonly #byName = new Map<string, (string | undefined)[]>();

  /** Whether it was free; then it is taken. `subnet` undefined: any client; `name` "" where there are none. */
  take(name: string, subnet: string | undefined): boolean {
    const taken = this.#byName.get(name);
    if (taken === undefined) {
      this.#byName.set(name, [subnet]);
      return true;
    }
    if (taken.includes(ANY)) return false;
    if (subnet !== ANY && taken.some((other) => overlap(subnet, other ?? "") === "inside")) return false;
    taken.push(subnet);
    return true;
  }
}
