import type { Violation } from "../kind.js";
import { formatPath } from "./path.js";

/** Deepest nesting that an object may have. */
export const MAX_DEPTH = 64;
/** Most items of one list, and most keys of one object. */
export const MAX_ITEMS = 10_000;
/** Most values in one object, containers included. */
const MAX_VALUES = 500_000;

export interface Copied {
  readonly value: unknown;
  /** What cannot be kept: too deep, too many, not JSON, or under a key that no object may have. */
  readonly violations: readonly Violation[];
}

/**
 * A private copy of what a user sent, as plain JSON values within bounds. Checking changes and keeps the copy only, so
 * that later changes of the original cannot reach a stored object. Own keys `__proto__` are refused: they are harmless
 * in parsed JSON and not in code that copies field by field.
 */
export function copyJson(value: unknown, root: readonly string[]): Copied {
  const copier = new Copier();
  return { value: copier.copy(value, [...root]), violations: copier.violations };
}

class Copier {
  readonly violations: Violation[] = [];
  #values = 0;

  copy(value: unknown, path: (string | number)[]): unknown {
    if (++this.#values > MAX_VALUES) {
      if (this.#values === MAX_VALUES + 1)
        this.#refuse(path.slice(0, 1), `has more than ${MAX_VALUES} values`);
      return null;
    }
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number") {
      return Number.isFinite(value) ? value : this.#refuse(path, "is not a finite number");
    }
    if (typeof value !== "object") return this.#refuse(path, `is a ${typeof value}, which JSON cannot hold`);
    if (path.length > MAX_DEPTH) return this.#refuse(path, `is nested deeper than ${MAX_DEPTH} levels`);
    return Array.isArray(value) ? this.#list(value, path) : this.#object(value, path);
  }

  #list(list: readonly unknown[], path: (string | number)[]): unknown {
    if (list.length > MAX_ITEMS)
      return this.#refuse(path, `has ${list.length} items; at most ${MAX_ITEMS} are allowed`);
    return list.map((item, index) => this.copy(item, [...path, index]));
  }

  #object(object: object, path: (string | number)[]): unknown {
    const entries = Object.entries(object);
    if (entries.length > MAX_ITEMS) {
      return this.#refuse(path, `has ${entries.length} keys; at most ${MAX_ITEMS} are allowed`);
    }
    const copy: Record<string, unknown> = {};
    for (const [key, value] of entries) {
      if (key === "__proto__") this.#refuse([...path, key], "is not a name that a field can have");
      else if (value !== undefined) copy[key] = this.copy(value, [...path, key]);
    }
    return copy;
  }

  #refuse(path: readonly (string | number)[], message: string): null {
    this.violations.push({ path: formatPath(path), message });
    return null;
  }
}
