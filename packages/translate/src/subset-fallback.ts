import { annotated, type MergedRule } from "./destination-rules.js";
import type { Translation } from "./translation.js";
import { subsetLabels } from "./subset-defaults.js";

/** Annotation of a DestinationRule: who takes the requests for a subset none of whose endpoints is usable. */
export const SUBSET_FALLBACK_ANNOTATION = "tulle.dev/subset-fallback";

const NOBODY = "NO_FALLBACK";
const EVERYBODY = "ANY_ENDPOINT";

/**
 * With it a priority is left only when nothing of it is usable, percent: where no share of it is lost, nothing of it goes
 * elsewhere.
 */
export const ALL_OR_NOTHING_OVERPROVISIONING = 1_000_000;

/** Labels of the instances that stand in for a subset's; undefined where nobody does. */
export function fallbackLabels(
  t: Translation,
  rule: MergedRule | undefined,
  host: string,
  subset: string,
): Readonly<Record<string, string>> | undefined {
  const wanted = rule && annotated(rule.objects, SUBSET_FALLBACK_ANNOTATION);
  if (rule === undefined || wanted === undefined || wanted === NOBODY) return undefined;
  if (subset === "" || wanted === subset) return undefined;
  if (wanted === EVERYBODY) return {};
  if (rule.subsets.has(wanted)) return subsetLabels(t, rule, host, wanted);
  const text = JSON.stringify(wanted);
  t.warn(
    `annotation ${SUBSET_FALLBACK_ANNOTATION} must be ${NOBODY}, ${EVERYBODY} or a subset that the DestinationRule declares; ${text} has no effect`,
  );
  return undefined;
}
