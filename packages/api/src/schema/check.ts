import type { z } from "zod";
import type { Checked, Kind, Violation } from "../kind.js";
import { copyJson } from "./copy.js";
import { typeName } from "./describe.js";
import { formatPath } from "./path.js";
import { Rewrites, type Mutable } from "./rewrite.js";
import { isFields } from "./struct.js";
import { bounded, unknownField, violationsOf } from "./violations.js";

export interface SpecRules<Spec> {
  readonly schema: z.ZodType<Spec>;
  /** Rewrites deprecated fields in place, before the schema sees them. Must expect any JSON. */
  readonly rewrite?: (spec: Mutable, rewrites: Rewrites) => void;
  /** An absent spec is an empty one. Default: it is a violation. */
  readonly specOptional?: boolean;
  /** Warnings about a valid spec. */
  readonly warn?: (spec: Spec) => readonly string[];
}

const TOP_LEVEL: readonly string[] = ["apiVersion", "kind", "metadata", "spec", "status"];

/** The `check` of a kind all of whose content is in `spec`. `status`, when there, is ignored: it is computed. */
export function checkSpec<Spec>(rules: SpecRules<Spec>): Kind<Spec>["check"] {
  return (raw): Checked<Spec> => {
    const foreign = unknownFields(raw, TOP_LEVEL);
    const given = Object.hasOwn(raw, "spec") ? raw["spec"] : undefined;
    const wanted = given ?? (rules.specOptional === true ? {} : given);
    if (!isFields(wanted)) {
      const got = wanted === undefined ? "" : `, got ${typeName(wanted)}`;
      return refused([...foreign, { path: "spec", message: `is required: expected an object${got}` }], []);
    }
    const copied = copyJson(wanted, ["spec"]);
    const rewrites = new Rewrites();
    rules.rewrite?.(copied.value as Mutable, rewrites);
    const parsed = violationsOf(rules.schema, copied.value, ["spec"]);
    const violations = [...foreign, ...copied.violations, ...parsed.violations].map(({ path, message }) => ({
      path: rewrites.original(path),
      message,
    }));
    if (!parsed.success || violations.length > 0) return refused(violations, rewrites.warnings);
    const spec = parsed.data as Spec;
    return { ok: true, spec, warnings: [...rewrites.warnings, ...(rules.warn?.(spec) ?? [])] };
  };
}

/** Fields of `raw` that are not among `known`, as violations. */
export function unknownFields(
  raw: Readonly<Record<string, unknown>>,
  known: readonly string[],
): readonly Violation[] {
  return Object.keys(raw)
    .filter((key) => !known.includes(key))
    .slice(0, 1000)
    .map((key) => ({ path: formatPath([key]), message: unknownField(key, known) }));
}

/** The bad half of {@link Checked}. */
export type Refused = Extract<Checked<never>, { readonly ok: false }>;

/** A refusal with a bounded list of violations. */
export function refused(violations: readonly Violation[], warnings: readonly string[]): Refused {
  return { ok: false, violations: bounded(violations, "spec"), warnings };
}
