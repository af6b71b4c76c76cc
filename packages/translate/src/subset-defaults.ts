import type { MergedRule } from "./destination-rules.js";
import type { MeshEndpoint } from "./mesh-service.js";
import type { Translation } from "./translation.js";
import { selects } from "./visibility.js";

/** Label that an undeclared subset selects by. */
const VERSION_LABEL = "version";

/**
 * Labels of a subset's instances. A subset that no DestinationRule declares means the instances whose `version` label
 * is its name, so that a canary needs no DestinationRule; that is said as a warning.
 */
export function subsetLabels(
  t: Translation,
  rule: MergedRule | undefined,
  host: string,
  subset: string,
): Readonly<Record<string, string>> {
  if (subset === "") return {};
  const declared = rule?.subsets.get(subset);
  if (declared !== undefined) return declared.labels ?? {};
  if (subset.includes("=")) return labelsOfSubset(subset);
  t.warnOf(
    "TUL0002",
    `no DestinationRule declares subset "${subset}" of ${host}: it selects instances labelled ${VERSION_LABEL}=${subset}`,
  );
  return { [VERSION_LABEL]: subset };
}

/**
 * The name of a subset that says its labels itself, `version=v2`, for policies that select instances by labels. Equal
 * labels give equal names, and no declared subset has such a one.
 */
export function labelledSubset(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(",");
}

/** The labels that such a name says. */
export function labelsOfSubset(name: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    name.split(",").map((pair) => {
      const end = pair.indexOf("=");
      return [pair.slice(0, end), pair.slice(end + 1)];
    }),
  );
}

/** Which endpoints of a service are a subset's. */
export function subsetSelector(
  t: Translation,
  rule: MergedRule | undefined,
  host: string,
  subset: string,
): (endpoint: MeshEndpoint) => boolean {
  const labels = subsetLabels(t, rule, host, subset);
  const admits = rule?.subsets.get(subset)?.admits;
  return (endpoint) => selects(labels, endpoint.labels) && (admits === undefined || admits(endpoint));
}
