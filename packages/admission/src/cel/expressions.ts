import { RE2JS } from "@bufbuild/re2";

import type { Budget } from "./budget.js";

/** Compiled expressions that are kept, and the longest that is taken. */
const MAX_KEPT = 128;
const MAX_PATTERN = 1024;

interface Compiled {
  readonly engine: RE2JS;
  readonly states: number;
}

/** Regular expressions in RE2's syntax: they take time in proportion to the text, whatever they are. */
export class Expressions {
  readonly #budget: Budget;
  /** By pattern, the one that was used last at the end. */
  readonly #kept = new Map<string, Compiled>();

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** Whether a part of the text matches. Throws when the pattern is none. */
  matches(text: string, pattern: string): boolean {
    const { engine, states } = this.#compiled(pattern);
    this.#budget.spend(1 + (text.length * Math.min(states, 64)) / 16);
    return engine.test(text);
  }

  #compiled(pattern: string): Compiled {
    let compiled = this.#kept.get(pattern);
    if (compiled === undefined) {
      if (pattern.length > MAX_PATTERN) throw new Error(`a pattern has over ${MAX_PATTERN} characters`);
      const states = statesOf(pattern);
      this.#budget.spend(states * 30);
      compiled = { engine: new RE2JS(pattern), states };
    }
    this.#kept.delete(pattern);
    this.#kept.set(pattern, compiled);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MAX_KEPT) break;
      this.#kept.delete(oldest);
    }
    return compiled;
  }
}

/** How large a pattern is when its repetitions are written out, roughly: RE2 repeats a thousand times at most. */
function statesOf(pattern: string): number {
  let states = pattern.length;
  for (const [, from = "", to = ""] of pattern.matchAll(/\{(\d{1,4})(?:,(\d{0,4}))?\}/g))
    states += Math.max(Number(from), Number(to)) * Math.max(4, pattern.length / 8);
  return states;
}
