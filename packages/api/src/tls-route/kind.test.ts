import { expect, test } from "vitest";
import type { Kind } from "../kind.js";
import { tcpRouteKind } from "../tcp-route/kind.js";
import { tlsRouteKind } from "./kind.js";

const PARENT = { kind: "Service", group: "", name: "db" };
const RULE = { backendRefs: [{ name: "db-v2", port: 5432, weight: 0 }] };

function violations(kind: Pick<Kind, "check">, spec: Record<string, unknown>): string {
  const checked = kind.check({ spec: { parentRefs: [PARENT], ...spec } });
  return checked.ok ? "" : checked.violations.map(({ path, message }) => `${path}: ${message}`).join("\n");
}

test("routes of connections take one rule with backends", () => {
  expect(violations(tcpRouteKind, { rules: [RULE] })).toBe("");
  expect(violations(tlsRouteKind, { rules: [RULE] })).toBe("");
  expect(violations(tlsRouteKind, { rules: [RULE], hostnames: ["a.example", "*.b.example"] })).toBe("");
});

test.each<[Pick<Kind, "check">, Record<string, unknown>, string]>([
  [tcpRouteKind, {}, "spec.rules: is required"],
  [tcpRouteKind, { rules: [] }, "spec.rules: must have at least one item"],
  [tcpRouteKind, { rules: [RULE, RULE] }, "spec.rules: must have at most one item"],
  [tcpRouteKind, { rules: [{ backendRefs: [] }] }, "backendRefs: must have at least one item"],
  [tcpRouteKind, { rules: [RULE], hostnames: ["a"] }, "spec.hostnames: is not a known field"],
  [tlsRouteKind, { rules: [RULE], hostnames: [] }, "spec.hostnames: must have at least one item"],
  [
    tlsRouteKind,
    { rules: [RULE], hostnames: ["A.example"] },
    "spec.hostnames[0]: expected a lower-case host",
  ],
])("check refuses what is no route of connections", (kind, spec, expected) => {
  expect(violations(kind, spec)).toContain(expected);
});
