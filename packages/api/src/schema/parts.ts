import type { z } from "zod";
import { refused, type Refused } from "./check.js";
import { copyJson } from "./copy.js";
import { isFields } from "./struct.js";
import { violationsOf } from "./violations.js";

/** Fields of every object that are no part of a kind's content. */
const ENVELOPE: ReadonlySet<string> = new Set(["apiVersion", "kind", "metadata", "status"]);

export type CheckedParts<Parts> = { readonly ok: true; readonly parts: Parts } | Refused;

/**
 * Checks the fields beside the envelope of a kind that has no spec. `nullable` fields may be null, which means absent:
 * clients written in Go send their empty fields so.
 */
export function checkParts<Parts>(
  schema: z.ZodType<Parts>,
  raw: Readonly<Record<string, unknown>>,
  options: { readonly nullable?: readonly string[] } = {},
): CheckedParts<Parts> {
  const content = Object.fromEntries(
    Object.entries(raw).filter(
      ([key, value]) => !ENVELOPE.has(key) && !(value === null && options.nullable?.includes(key) === true),
    ),
  );
  const copied = copyJson(content, []);
  const parsed = violationsOf(schema, isFields(copied.value) ? copied.value : {}, []);
  const violations = [...copied.violations, ...parsed.violations];
  return parsed.success && violations.length === 0
    ? { ok: true, parts: parsed.data as Parts }
    : refused(violations, []);
}
