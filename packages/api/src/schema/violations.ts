import type { z } from "zod";
import type { Violation } from "../kind.js";
import { show, typeName } from "./describe.js";
import { formatPath, type Path } from "./path.js";

/** Most violations that one answer lists; one more line says how many are left out. */
export const MAX_VIOLATIONS = 100;

/** The violations of a value by a schema, in plain words, below `root`. */
export function violationsOf(
  schema: z.ZodType,
  value: unknown,
  root: Path,
): z.ZodSafeParseResult<unknown> & {
  readonly violations: readonly Violation[];
} {
  const result = schema.safeParse(value, { error: messageOf });
  return {
    ...result,
    violations: result.success ? [] : result.error.issues.flatMap((issue) => fromIssue(issue, root)),
  };
}

/** At most {@link MAX_VIOLATIONS}, each path and message once, then one that counts the rest. */
export function bounded(violations: readonly Violation[], root: string): readonly Violation[] {
  const seen = new Set<string>();
  const distinct = violations.filter(({ path, message }) => {
    const key = `${path}\n${message}`;
    return seen.size < seen.add(key).size;
  });
  if (distinct.length <= MAX_VIOLATIONS) return distinct;
  const rest = distinct.length - MAX_VIOLATIONS;
  return [
    ...distinct.slice(0, MAX_VIOLATIONS),
    { path: root, message: `has ${rest} more violations, not listed` },
  ];
}

function fromIssue(issue: z.core.$ZodIssue, root: Path): Violation[] {
  const path = [...root, ...issue.path];
  if (issue.code !== "unrecognized_keys") return [{ path: formatPath(path), message: issue.message }];
  const messages = issue.message.split("\n");
  return issue.keys.map((key, index) => ({
    path: formatPath([...path, key]),
    message: messages[index] ?? "is not a known field",
  }));
}

function messageOf(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type": {
      const expected = EXPECTED[issue.expected] ?? issue.expected;
      return issue.input === undefined
        ? `is required: expected ${expected}`
        : `expected ${expected}, got ${typeName(issue.input)}`;
    }
    case "invalid_value": {
      const values = issue.values.map(String).join(", ");
      return issue.input === undefined
        ? `is required: expected one of ${values}`
        : `expected one of ${values}, got ${typeof issue.input === "object" ? typeName(issue.input) : show(issue.input)}`;
    }
    case "unrecognized_keys":
      // One line for each key: the known fields are at hand only here.
      return issue.keys.map((key) => unknownField(key, knownFields(issue.inst))).join("\n");
    default:
      return undefined;
  }
}

const EXPECTED: Readonly<Record<string, string>> = {
  object: "an object",
  record: "an object",
  array: "a list",
  string: "a string",
  number: "a number",
  boolean: "true or false",
};

function knownFields(schema: unknown): readonly string[] {
  const definition = (schema as { _zod?: { def?: { shape?: object } } } | undefined)?._zod?.def;
  return Object.keys(definition?.shape ?? {});
}

/** "is not a known field", with the nearest known one when it is a likely slip. */
export function unknownField(key: string, known: readonly string[]): string {
  const nearest = key.length > 64 ? undefined : known.find((name) => isSlip(key, name));
  return nearest === undefined ? "is not a known field" : `is not a known field; did you mean ${nearest}?`;
}

function isSlip(typed: string, name: string): boolean {
  const a = typed.toLowerCase().replaceAll("_", "");
  const b = name.toLowerCase();
  if (a === b) return true;
  return Math.abs(a.length - b.length) <= 2 && editDistance(a, b) <= (b.length > 4 ? 2 : 1);
}

/** How many letters to insert, delete, replace or swap with their neighbour (optimal string alignment) make b of a. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = at(row, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = swapped ? at(before, j - 2) + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(at(row, j) + 1, at(next, j - 1) + 1, substitution, swap));
    }
    before = row;
    row = next;
  }
  return at(row, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
