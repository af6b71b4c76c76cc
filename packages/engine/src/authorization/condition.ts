import type { Facts } from "../contract.js";

/**
 * A part of a rule. A leaf knows whether the connection alone decides it, so that rules can be shortened once for all the
 * requests of a connection.
 */
export type Condition = boolean | Leaf | All | Any | Not;

export interface LeafInit {
  /** What is looked at, as the beginning of a sentence: `the method`. */
  readonly subject: string;
  /** What it shall be: `"GET"`, `begin with "/api"`. */
  readonly wanted: string;
  /** The connection alone decides. */
  readonly perConnection: boolean;
  /** What is there, for explanations; undefined = nothing. */
  readonly actual: (facts: Facts) => string | undefined;
  readonly test: (facts: Facts) => boolean;
  /** The only path that it holds for. */
  readonly exactPath?: string | undefined;
  /** What a path begins with that it holds for. */
  readonly pathPrefix?: string | undefined;
  /** A header field, lower-case, without which it does not hold. */
  readonly header?: string | undefined;
}

export class Leaf {
  readonly init: LeafInit;
  readonly #test: (facts: Facts) => boolean;

  constructor(init: LeafInit) {
    this.init = init;
    this.#test = init.test;
  }

  holds(facts: Facts): boolean {
    return this.#test(facts);
  }
}

export class All {
  readonly parts: readonly Condition[];

  constructor(parts: readonly Condition[]) {
    this.parts = parts;
  }

  holds(facts: Facts): boolean {
    const { parts } = this;
    for (let index = 0; index < parts.length; index++) if (!holds(parts[index]!, facts)) return false;
    return true;
  }
}

export class Any {
  readonly parts: readonly Condition[];

  constructor(parts: readonly Condition[]) {
    this.parts = parts;
  }

  holds(facts: Facts): boolean {
    const { parts } = this;
    for (let index = 0; index < parts.length; index++) if (holds(parts[index]!, facts)) return true;
    return false;
  }
}

export class Not {
  readonly part: Condition;

  constructor(part: Condition) {
    this.part = part;
  }

  holds(facts: Facts): boolean {
    return !holds(this.part, facts);
  }
}

/** Whether a condition holds. */
export function holds(condition: Condition, facts: Facts): boolean {
  return typeof condition === "boolean" ? condition : condition.holds(facts);
}

/** What is left of a condition for the requests of a connection. */
export function reduce(condition: Condition, facts: Facts): Condition {
  if (typeof condition === "boolean") return condition;
  if (condition instanceof Leaf) return condition.init.perConnection ? condition.init.test(facts) : condition;
  if (condition instanceof Not) {
    const part = reduce(condition.part, facts);
    return typeof part === "boolean" ? !part : new Not(part);
  }
  const neutral = condition instanceof All;
  const left: Condition[] = [];
  for (const part of condition.parts) {
    const reduced = reduce(part, facts);
    if (reduced === !neutral) return !neutral;
    if (reduced !== neutral) left.push(reduced);
  }
  if (left.length === 0) return neutral;
  if (left.length === 1) return left[0]!;
  return neutral ? new All(left) : new Any(left);
}

/** Paths outside of which a condition never holds; undefined = there is no such list. */
export function exactPaths(condition: Condition): readonly string[] | undefined {
  return textsOf(condition, ({ exactPath }) => exactPath);
}

/** Beginnings one of which a path has wherever a condition holds; undefined = there is no such list. */
export function pathPrefixes(condition: Condition): readonly string[] | undefined {
  return textsOf(condition, ({ pathPrefix, exactPath }) => pathPrefix ?? exactPath);
}

/** What leaves say of where they hold, as far as it follows for the whole. */
function textsOf(
  condition: Condition,
  textOf: (init: LeafInit) => string | undefined,
): readonly string[] | undefined {
  if (condition instanceof Leaf) {
    const text = textOf(condition.init);
    return text === undefined ? undefined : [text];
  }
  if (condition instanceof All) {
    for (const part of condition.parts) {
      const texts = textsOf(part, textOf);
      if (texts !== undefined) return texts;
    }
    return undefined;
  }
  if (!(condition instanceof Any)) return undefined;
  const found: string[] = [];
  for (const part of condition.parts) {
    const texts = textsOf(part, textOf);
    if (texts === undefined) return undefined;
    found.push(...texts);
  }
  return found;
}

/** A header field without which a condition never holds; undefined = there is none that is known. */
export function neededHeader(condition: Condition): string | undefined {
  if (condition instanceof Leaf) return condition.init.header;
  if (condition instanceof All) {
    for (const part of condition.parts) {
      const name = neededHeader(part);
      if (name !== undefined) return name;
    }
    return undefined;
  }
  if (!(condition instanceof Any)) return undefined;
  const [first, ...others] = condition.parts.map(neededHeader);
  return others.every((name) => name === first) ? first : undefined;
}

/** Values of one list that are told at most. */
const TOLD = 4;

/** What a condition that does not hold lacks, as sentences; of alternatives the one that lacks least. */
export function lacks(condition: Condition, facts: Facts): readonly string[] {
  if (holds(condition, facts)) return [];
  if (typeof condition === "boolean") return ["nothing matches it"];
  if (condition instanceof Leaf) return [sentence(condition, facts, [condition.init.wanted])];
  if (condition instanceof Not) return [excluded(condition.part, facts)];
  if (condition instanceof All) return condition.parts.flatMap((part) => lacks(part, facts));
  const [first] = condition.parts;
  if (first instanceof Leaf && condition.parts.every((part) => isLeafOf(part, first.init.subject))) {
    return [
      sentence(
        first,
        facts,
        condition.parts.map((part) => (part as Leaf).init.wanted),
      ),
    ];
  }
  let least: readonly string[] = ["nothing matches it"];
  condition.parts.forEach((part, index) => {
    const missing = lacks(part, facts);
    if (index === 0 || missing.length < least.length) least = missing;
  });
  return least;
}

function isLeafOf(part: Condition, subject: string): boolean {
  return part instanceof Leaf && part.init.subject === subject;
}

function sentence({ init }: Leaf, facts: Facts, wanted: readonly string[]): string {
  const actual = init.actual(facts);
  const more = wanted.length > TOLD ? ` or one of ${wanted.length - TOLD} more` : "";
  const list = wanted.slice(0, TOLD).join(" or ") + more;
  return actual === undefined
    ? `${init.subject} is not there, and must be ${list}`
    : `${init.subject} is ${JSON.stringify(actual)}, and must be ${list}`;
}

/** Why what must not hold does. */
function excluded(condition: Condition, facts: Facts): string {
  if (condition instanceof Leaf) {
    const { subject, wanted } = condition.init;
    const actual = condition.init.actual(facts);
    return `${subject} is ${JSON.stringify(actual ?? "")}, and must not be ${wanted}`;
  }
  if (condition instanceof Any) {
    const one = condition.parts.find((part) => holds(part, facts));
    if (one !== undefined) return excluded(one, facts);
  }
  if (condition instanceof All && condition.parts.length > 0)
    return condition.parts.map((part) => excluded(part, facts)).join(" together with ");
  return "it is excluded";
}
