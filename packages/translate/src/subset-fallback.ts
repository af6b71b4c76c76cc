import { annotated, type MergedRule } from "./destination-rules.js";
import type { Translation } from "./translation.js";
import { subsetLabels } from "./subset-defaults.js";

/**
 * Annotation of a DestinationRule: who takes the requests for a subset none of whose endpoints is usable. Of several, by
 * commas, each once none of those before it is.
 */
export const SUBSET_FALLBACK_ANNOTATION = "tulle.dev/subset-fallback";

const NOBODY = "NO_FALLBACK";
const EVERYBODY = "ANY_ENDPOINT";

/**
 * With it a priority is left only when nothing of it is usable, percent: where no share of it is lost, nothing of it goes
 * elsewhere.
 */
export const ALL_OR_NOTHING_OVERPROVISIONING = 1_000_000;

/** Labels of the instances that stand in for a subset's, one after the other; none where nobody does. */
export function fallbackLabels(
  t: Translation,
  rule: MergedRule | undefined,
  host: string,
  subset: string,
): readonly Readonly<Record<string, string>>[] {
  const written = rule && annotated(rule.objects, SUBSET_FALLBACK_ANNOTATION);
  if (rule === undefined || written === undefined || subset === "") return [];
  const labels: Readonly<Record<string, string>>[] = [];
  for (const wanted of written.split(",").map((word) => word.trim())) {
    if (wanted === subset) continue;
    if (wanted === NOBODY) return labels;
    if (wanted === EVERYBODY) return [...labels, {}];
    if (rule.subsets.has(wanted)) {
      labels.push(subsetLabels(t, rule, host, wanted));
      continue;
    }
    const text = JSON.stringify(wanted);
    t.warn(
      `annotation ${SUBSET_FALLBACK_ANNOTATION} must be ${NOBODY}, ${EVERYBODY} or subsets that the DestinationRule declares; ${text} has no effect`,
    );
  }
  return labels;
}
