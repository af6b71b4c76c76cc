import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** A claim by its path; undefined when the token has none such. What objects inherit is no claim. */
export function claimAt(payload: JsonObject, path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = payload;
  for (const name of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    value = Object.hasOwn(value, name) ? value[name] : undefined;
  }
  return value;
}

/** A claim as a field's value; undefined = it cannot be one: a list, an object, or text that would break out of the field. */
export function headerOfClaim(claim: JsonValue | undefined): string | undefined {
  switch (typeof claim) {
    case "string":
      return isFieldValue(claim) ? claim : undefined;
    case "number":
    case "boolean":
      return String(claim);
    default:
      return undefined;
  }
}

/** The payload as conditions see it: claims that are lists written with spaces are lists. */
export function normalized(payload: JsonObject, spaceDelimited: readonly string[]): JsonObject {
  const lists = spaceDelimited.filter(
    (name) => Object.hasOwn(payload, name) && typeof payload[name] === "string",
  );
  if (lists.length === 0) return payload;
  const changed = new Map<string, JsonValue>(Object.entries(payload));
  for (const name of lists) {
    const text = payload[name] as string;
    changed.set(
      name,
      text.split(" ").filter((part) => part !== ""),
    );
  }
  return Object.fromEntries(changed);
}

/** Visible ASCII with spaces and tabs within (RFC 9110 section 5.5): what every server reads in the same way. */
function isFieldValue(text: string): boolean {
  return /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(text);
}
