import { expect, test } from "vitest";
import { namespaceKind } from "./kind.js";

test("check accepts a namespace with and without spec, and refuses unknown fields", () => {
  expect(namespaceKind.check({ metadata: {} })).toEqual({ ok: true, spec: {}, warnings: [] });
  const finalized = { spec: { finalizers: ["kubernetes"] }, status: { phase: "Active" } };
  expect(namespaceKind.check(finalized)).toMatchObject({ ok: true, spec: finalized.spec });
  expect(namespaceKind.check({ spec: { finalizer: [] } })).toMatchObject({
    violations: [{ path: "spec.finalizer", message: "is not a known field; did you mean finalizers?" }],
  });
});
