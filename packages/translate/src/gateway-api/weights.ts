import type { BackendReference } from "@tulle/api";
import type { Failing } from "../routes/rule.js";

/** A backend that gets a share of a rule's traffic. */
export interface Weighted<Backend> {
  readonly backend: Backend;
  /** Above 0. */
  readonly weight: number;
}

export interface Shares<Backend> {
  readonly usable: readonly Weighted<Backend>[];
  /** Part of the whole that goes to backends which are not there, 0 to 1; 1 when there are none at all. */
  readonly lost: number;
}

/** Shares traffic out by weight. `resolve` gives undefined for what is no backend; it is asked for all of them. */
export function sharesOf<Reference extends BackendReference, Backend>(
  references: readonly Reference[],
  resolve: (reference: Reference, index: number) => Backend | undefined,
): Shares<Backend> {
  let total = 0;
  let lost = 0;
  const usable: Weighted<Backend>[] = [];
  references.forEach((reference, index) => {
    const weight = reference.weight ?? 1;
    const backend = resolve(reference, index);
    total += weight;
    if (backend === undefined) lost += weight;
    else if (weight > 0) usable.push({ backend, weight });
  });
  return { usable, lost: total === 0 ? 1 : lost / total };
}

/** How the share that is lost fails. */
export function failingShare(lost: number, status: number): Failing | undefined {
  if (lost === 0) return undefined;
  const body =
    "a backend of this rule does not exist, is not permitted or has no weight; see the route's status\n";
  return { percent: lost * 100, status, body };
}
