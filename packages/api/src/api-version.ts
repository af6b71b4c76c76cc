/** `networking.istio.io/v1`; the core group has the version alone. */
export function apiVersionOf(group: string, version: string): string {
  return group === "" ? version : `${group}/${version}`;
}

/** Group and version of an `apiVersion`, or undefined when it has another form. */
export function parseApiVersion(
  apiVersion: string,
): { readonly group: string; readonly version: string } | undefined {
  const parts = apiVersion.split("/");
  if (parts.length > 2 || parts.some((part) => part === "")) return undefined;
  const [first = "", second] = parts;
  return second === undefined ? { group: "", version: first } : { group: first, version: second };
}
