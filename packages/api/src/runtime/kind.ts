import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { runtimeSpec } from "./schema.js";
import { RUNTIME_DENOMINATORS, type RuntimeSpec, type RuntimeValue } from "./type.js";

export const runtimeKind: Kind<RuntimeSpec> = {
  group: "tulle.dev",
  versions: ["v1"],
  storageVersion: "v1",
  kind: "Runtime",
  plural: "runtimes",
  singular: "runtime",
  shortNames: [],
  categories: ["tulle-dev"],
  scope: "Namespaced",
  columns: [
    textColumn<RuntimeSpec>("Values", "Shares by their keys.", ({ spec }) =>
      Object.entries(spec.values)
        .map(([key, value]) => `${key}=${percentOf(value)}%`)
        .join(","),
    ),
    ageColumn,
  ],
  specSchema: runtimeSpec,
  check: checkSpec({ schema: runtimeSpec }),
};

function percentOf(value: RuntimeValue): number {
  if (typeof value === "number") return value;
  return (100 * value.numerator) / RUNTIME_DENOMINATORS[value.denominator ?? "HUNDRED"];
}
