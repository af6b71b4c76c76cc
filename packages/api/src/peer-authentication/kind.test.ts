import { expect, test } from "vitest";
import { peerAuthenticationKind } from "./kind.js";

test("check accepts modes for the mesh, a workload and its ports", () => {
  const spec = {
    selector: { matchLabels: { app: "web" } },
    mtls: { mode: "STRICT" },
    portLevelMtls: { "8080": { mode: "DISABLE" } },
  };
  expect(peerAuthenticationKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
  expect(peerAuthenticationKind.check({})).toEqual({ ok: true, spec: {}, warnings: [] });
});

test.each<[Record<string, unknown>, string]>([
  [
    { mtls: { mode: "strict" } },
    'spec.mtls.mode: expected one of UNSET, DISABLE, PERMISSIVE, STRICT, got "strict"',
  ],
  [{ portLevelMtls: { "80": { mode: "STRICT" } } }, "spec.portLevelMtls: needs a selector"],
  [
    { selector: { matchLabels: { a: "b" } }, portLevelMtls: { "0": {} } },
    'spec.portLevelMtls["0"]: expected a port number',
  ],
  [
    { selector: { matchLabels: { a: "b" } }, portLevelMtls: {} },
    "spec.portLevelMtls: must have at least one port",
  ],
  [{ selector: { matchLabels: { a: "*" } } }, "spec.selector.matchLabels.a: expected a label value"],
])("check refuses %j", (spec, expected) => {
  const checked = peerAuthenticationKind.check({ spec });
  const found = checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
  expect(found.join("\n")).toContain(expected);
});
