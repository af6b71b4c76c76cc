import type { Kind } from "@tulle/api";

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/** `GET /api`: the versions of the core group. */
export function coreVersions(): object {
  return { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] };
}

/** `GET /apis`: every group with its versions, the preferred one marked. */
export function groupList(kinds: readonly Kind[]): object {
  return {
    kind: "APIGroupList",
    apiVersion: "v1",
    groups: groupNames(kinds).map((name) => group(kinds, name)),
  };
}

/** `GET /apis/<group>`, or undefined. */
export function groupDocument(kinds: readonly Kind[], name: string): object | undefined {
  return groupNames(kinds).includes(name)
    ? { kind: "APIGroup", apiVersion: "v1", ...group(kinds, name) }
    : undefined;
}

/** `GET /api/v1` and `GET /apis/<group>/<version>`: the kinds of one version, or undefined when there is none. */
export function resourceList(kinds: readonly Kind[], groupName: string, version: string): object | undefined {
  const members = kinds.filter((kind) => kind.group === groupName && kind.versions.includes(version));
  if (members.length === 0) return undefined;
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: groupName === "" ? version : `${groupName}/${version}`,
    resources: members.map((kind) => ({
      name: kind.plural,
      singularName: kind.singular,
      namespaced: kind.scope === "Namespaced",
      kind: kind.kind,
      verbs: VERBS,
      shortNames: kind.shortNames,
      categories: kind.categories,
    })),
  };
}

function groupNames(kinds: readonly Kind[]): readonly string[] {
  return [...new Set(kinds.map((kind) => kind.group))].filter((name) => name !== "").sort();
}

function group(kinds: readonly Kind[], name: string): object {
  const ordered = kinds.filter((kind) => kind.group === name).flatMap((kind) => kind.versions);
  const versions = [...new Set(ordered)].map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions, preferredVersion: versions[0] };
}
