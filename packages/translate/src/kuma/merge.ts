/**
 * Settings as one: what the first says holds, and where it says nothing, the next. Objects are merged field by field, lists
 * are taken whole.
 */
export function merged<Settings extends object>(all: readonly Settings[]): Partial<Settings> {
  return all.reduceRight<Partial<Settings>>((rest, first) => mergedPair(rest, first), {});
}

function mergedPair<Settings extends object>(rest: Partial<Settings>, first: Settings): Partial<Settings> {
  const result: Record<string, unknown> = { ...rest };
  for (const [field, value] of Object.entries(first)) {
    const below = result[field];
    result[field] = isObject(value) && isObject(below) ? mergedPair(below, value) : value;
  }
  return result as Partial<Settings>;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
