import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";
import { parse } from "yaml";

import { KINDS } from "./kinds.js";

// What Istio takes and refuses, kind by kind, held against what is taken and refused here.

type Spec = Readonly<Record<string, unknown>>;
type Verdict = "taken" | "refused";

interface Cases {
  readonly taken: readonly Spec[];
  readonly refused: readonly Spec[];
  readonly differs?: readonly { readonly istio: Verdict; readonly why: string; readonly spec: Spec }[];
}

const file = new URL("testdata/istio-validation.yaml", import.meta.url);
const kinds = parse(readFileSync(file, "utf8")) as Readonly<Record<string, Cases>>;

describe.each(Object.entries(kinds))("%s", (name, { taken, refused, differs = [] }) => {
  const kind = KINDS.find((one) => one.kind === name && one.group.endsWith(".istio.io"))!;
  const verdict = (spec: Spec): Verdict => (kind.check({ spec }).ok ? "taken" : "refused");

  test.each(taken)("takes %j", (spec) => {
    const checked = kind.check({ spec });
    expect(checked.ok ? [] : checked.violations).toEqual([]);
  });

  test.each(refused)("refuses %j", (spec) => {
    expect(verdict(spec)).toBe("refused");
  });

  test.each(differs)("other than Istio ($istio), because: $why", ({ istio, spec }) => {
    expect(verdict(spec)).toBe(istio === "taken" ? "refused" : "taken");
  });
});
