/** A namespace that sees objects of both, or undefined. `*` stands for all of them. */
export function sharedNamespace(
  a: { readonly namespace: string; readonly exportTo: readonly string[] | undefined },
  b: { readonly namespace: string; readonly exportTo: readonly string[] | undefined },
): string | undefined {
  const left = namespacesOf(a.exportTo, a.namespace);
  const right = namespacesOf(b.exportTo, b.namespace);
  if (left.has("*")) return right.values().next().value;
  if (right.has("*")) return left.values().next().value;
  for (const namespace of left) if (right.has(namespace)) return namespace;
  return undefined;
}

function namespacesOf(exportTo: readonly string[] | undefined, namespace: string): ReadonlySet<string> {
  if (exportTo === undefined || exportTo.length === 0) return new Set(["*"]);
  const seen = exportTo.filter((one) => one !== "~").map((one) => (one === "." ? namespace : one));
  return new Set(seen);
}
