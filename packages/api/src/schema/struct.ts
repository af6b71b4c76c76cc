import { z } from "zod";
import type { Path } from "./path.js";

/** An object's fields as a rule sees them: present or not, but not yet proven valid. */
export type Fields = Readonly<Record<string, unknown>>;

/** Says that something is wrong at `path` below the struct. */
export type Report = (path: Path, message: string) => void;

/**
 * A condition between the fields of one struct. It runs even when some field is invalid, so that one mistake hides no
 * other; it must expect anything in the fields.
 */
export type Rule = (fields: Fields, report: Report) => void;

/** An object with exactly these fields (any other is a violation), for which all rules hold. */
export function struct<Shape extends z.ZodRawShape>(
  shape: Shape,
  ...rules: readonly Rule[]
): z.ZodObject<Shape, z.core.$strict> {
  let schema = z.strictObject(shape);
  for (const rule of rules)
    schema = schema.superRefine(asRefinement(rule), { when: ({ value }) => isFields(value) });
  return schema;
}

function asRefinement(rule: Rule): (value: unknown, context: z.core.$RefinementCtx) => void {
  return (value, context) => {
    if (!isFields(value)) return;
    rule(value, (path, message) => context.addIssue({ code: "custom", path: [...path], message }));
  };
}

/** Whether a value is a JSON object. */
export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The list under a field; empty when it is absent or not a list. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The objects of a list with their indexes, leaving out what is not one. */
export function structsOf(value: unknown): readonly (readonly [number, Fields])[] {
  return listOf(value).flatMap((item, index) => (isFields(item) ? [[index, item] as const] : []));
}

function present(fields: Fields, names: readonly string[]): string[] {
  return names.filter((name) => fields[name] !== undefined);
}

/** Exactly one of these fields is there. */
export function exactlyOne(...names: readonly string[]): Rule {
  return (fields, report) => {
    const found = present(fields, names);
    if (found.length === 1) return;
    const got = found.length === 0 ? "has none of them" : `has ${found.join(" and ")}`;
    report([], `must have exactly one of ${names.join(", ")}; it ${got}`);
  };
}

/** At most one of these fields is there. */
export function atMostOne(...names: readonly string[]): Rule {
  return (fields, report) => {
    const found = present(fields, names);
    if (found.length > 1) report([], `cannot have ${found.join(" and ")} together; keep one of them`);
  };
}

/** At least one of these fields is there. */
export function atLeastOne(...names: readonly string[]): Rule {
  return (fields, report) => {
    if (present(fields, names).length === 0) report([], `must have at least one of ${names.join(", ")}`);
  };
}

/** `field` does not stand beside any of `others`. */
export function excludes(field: string, ...others: readonly string[]): Rule {
  return (fields, report) => {
    if (fields[field] === undefined) return;
    for (const other of present(fields, others)) report([other], `cannot stand together with ${field}`);
  };
}

/** Items of the list `field` have different values of `key`. */
export function unique(field: string, key: string): Rule {
  return (fields, report) => {
    const seen = new Map<unknown, number>();
    for (const [index, item] of structsOf(fields[field])) {
      const value = item[key];
      if (value === undefined) continue;
      const first = seen.get(value);
      if (first === undefined) seen.set(value, index);
      else report([field, index, key], `repeats ${field}[${first}].${key}; each must be different`);
    }
  };
}
