import type { CelInput } from "@bufbuild/cel";

/**
 * JSON as CEL sees it: objects are maps, whole numbers are `int`, all others `double`. (Kubernetes takes that from a
 * schema: there a field may be a double whose value is whole.)
 */
export function celValue(json: unknown): CelInput {
  switch (typeof json) {
    case "number":
      return Number.isSafeInteger(json) ? BigInt(json) : json;
    case "string":
    case "boolean":
      return json;
    case "object":
      if (json === null) return null;
      if (Array.isArray(json)) return json.map(celValue);
      return new Map(
        Object.entries(json)
          .filter(([, value]) => value !== undefined)
          .map(([key, value]) => [key, celValue(value)]),
      );
    default:
      return null;
  }
}
