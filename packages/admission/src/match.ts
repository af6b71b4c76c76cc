import { selectsLabels, type MatchResources, type ResourceRule } from "@tulle/api";

import { subjectOf, type AdmissionWrite } from "./write.js";

/**
 * Whether a write is one that `match` is about, and at which of the kind's versions its object is looked at; undefined: it is not.
 * `namespaceLabels`: of the object's namespace, or of the Namespace that is written; undefined for objects of none.
 */
export function matchedVersion(
  match: MatchResources,
  write: AdmissionWrite,
  namespaceLabels: Readonly<Record<string, string>> | undefined,
): string | undefined {
  const { namespaceSelector, objectSelector, resourceRules, excludeResourceRules = [] } = match;
  if (namespaceSelector !== undefined && namespaceLabels !== undefined)
    if (!selectsLabels(namespaceSelector, namespaceLabels)) return undefined;
  if (objectSelector !== undefined) {
    const objects = [write.object, write.oldObject].filter((one) => one !== undefined);
    if (!objects.some(({ metadata }) => selectsLabels(objectSelector, metadata.labels ?? {})))
      return undefined;
  }
  const { kind, version } = write;
  const others = match.matchPolicy === "Exact" ? [] : kind.versions.filter((one) => one !== version);
  const versionBy = (rules: readonly ResourceRule[]): string | undefined =>
    [version, ...others].find((one) => rules.some((rule) => fits(rule, write, one)));
  if (versionBy(excludeResourceRules) !== undefined) return undefined;
  return resourceRules === undefined || resourceRules.length === 0 ? version : versionBy(resourceRules);
}

function fits(rule: ResourceRule, write: AdmissionWrite, version: string): boolean {
  const { kind, operation } = write;
  const { resourceNames = [], scope = "*" } = rule;
  return (
    has(rule.apiGroups, kind.group) &&
    has(rule.apiVersions, version) &&
    has(rule.operations, operation) &&
    (has(rule.resources, kind.plural) || rule.resources.includes("*/*")) &&
    (resourceNames.length === 0 || resourceNames.includes(subjectOf(write).name)) &&
    // A Namespace is of none.
    (scope === "*" || scope === kind.scope)
  );
}

function has(list: readonly string[], value: string): boolean {
  return list.includes("*") || list.includes(value);
}
