import type { FoundMetadata, RequestMetadata } from "../contract.js";

/** What is found anew of a namespace comes in place of fields of the same name. */
export function mergeMetadata(
  before: RequestMetadata | undefined,
  found: FoundMetadata | undefined,
): RequestMetadata | undefined {
  if (found === undefined) return before;
  const { namespace, value } = found;
  return new Map(before).set(namespace, { ...before?.get(namespace), ...value });
}
