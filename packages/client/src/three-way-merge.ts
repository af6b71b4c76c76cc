/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * The JSON merge patch (RFC 7386) that brings `current` to what a user declares, as `kubectl apply` computes it: fields
 * of `declared` that differ are set; fields that the user declared before (`previous`) and does not any more are
 * removed; all others, which belong to somebody else, stay. Lists are replaced whole. Undefined when there is nothing
 * to do.
 */
export function threeWayMerge(
  previous: JsonObject,
  declared: JsonObject,
  current: JsonObject,
): Record<string, unknown> | undefined {
  const patch = new Map<string, unknown>();
  for (const key of Object.keys(previous)) {
    if (!Object.hasOwn(declared, key) && Object.hasOwn(current, key)) patch.set(key, null);
  }
  for (const [key, value] of Object.entries(declared)) {
    const present = Object.hasOwn(current, key) ? current[key] : undefined;
    if (isObject(value) && isObject(present)) {
      const before = Object.hasOwn(previous, key) && isObject(previous[key]) ? previous[key] : {};
      const below = threeWayMerge(before, value, present);
      if (below !== undefined) patch.set(key, below);
    } else if (!equal(value, present)) patch.set(key, value);
  }
  return patch.size === 0 ? undefined : Object.fromEntries(patch);
}

/** Whether two JSON values are the same, whatever the order of keys. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => equal(item, b[index]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]))
  );
}

/** Compact JSON with sorted keys: the same object always gives the same text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value) ?? "null";
  const entries = Object.keys(value)
    .sort()
    .filter((key) => value[key] !== undefined);
  return `{${entries.map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`).join(",")}}`;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
