import { expect, test } from "vitest";
import { referenceGrantKind } from "./kind.js";

const FROM = { group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace: "shop" };
const TO = { group: "", kind: "Service" };

test("check accepts who may refer to what", () => {
  const spec = { from: [FROM], to: [TO, { ...TO, name: "reviews" }] };
  expect(referenceGrantKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
});

test.each<[Record<string, unknown>, string]>([
  [{ from: [], to: [TO] }, "spec.from: must have at least one item"],
  [{ from: [FROM] }, "spec.to: is required"],
  [{ from: [{ kind: "HTTPRoute", namespace: "shop" }], to: [TO] }, "spec.from[0].group: is required"],
  [{ from: [{ ...FROM, namespace: "a.b" }], to: [TO] }, "spec.from[0].namespace: expected a namespace"],
  [{ from: [FROM], to: [{ group: "", kind: "a/b" }] }, "spec.to[0].kind: expected a kind"],
])("check refuses %j", (spec, expected) => {
  const checked = referenceGrantKind.check({ spec });
  const found = checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
  expect(found.join("\n")).toContain(expected);
});
