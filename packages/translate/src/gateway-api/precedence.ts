import type { MeshObject } from "@tulle/api";
import { byAge } from "../visibility.js";

/** How specific a condition is: numbers, the first of which counts most. Higher ones come first. */
export type Precedence = readonly number[];

/** A condition of a rule, as it is put in order. */
export interface Ordered {
  readonly precedence: Precedence;
  readonly route: MeshObject;
  /** Position of the rule in its route, and of the condition in its rule. */
  readonly rule: number;
  readonly match: number;
}

/**
 * Gateway API's order among the conditions of all routes of a frontend: the most specific first, then those of the
 * oldest route, of the first by namespace and name, then as they are listed.
 */
export function bySpecificity(left: Ordered, right: Ordered): number {
  return (
    byPrecedence(left.precedence, right.precedence) ||
    byAge(left.route, right.route) ||
    left.rule - right.rule ||
    left.match - right.match
  );
}

/** Higher ones first. */
export function byPrecedence(left: Precedence, right: Precedence): number {
  for (let index = 0; index < left.length; index++) {
    const difference = (right[index] ?? 0) - (left[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
