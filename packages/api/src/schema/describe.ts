const MAX_SHOWN = 40;

/** A value as messages show it: strings quoted, long ones cut, containers by their type only. */
export function show(value: unknown): string {
  if (typeof value === "string")
    return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return typeName(value);
}

/** JSON's name for a value's type. */
export function typeName(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  switch (typeof value) {
    case "object":
      return "an object";
    case "string":
      return `the string ${show(value)}`;
    case "number":
      return `the number ${value}`;
    case "boolean":
      return String(value);
    default:
      return typeof value;
  }
}
