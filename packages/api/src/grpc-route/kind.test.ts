import { expect, test } from "vitest";
import { grpcRouteKind } from "./kind.js";

const PARENT = { kind: "Service", group: "", name: "reviews" };

function check(rule: Record<string, unknown>) {
  return grpcRouteKind.check({ spec: { parentRefs: [PARENT], rules: [rule] } });
}

function violations(checked: ReturnType<typeof check>): string {
  return checked.ok ? "" : checked.violations.map(({ path, message }) => `${path}: ${message}`).join("\n");
}

test("check accepts every documented field and keeps it", () => {
  const spec = {
    parentRefs: [PARENT],
    rules: [
      {
        name: "canary",
        matches: [
          { method: { service: "shop.Reviews", method: "Get" }, headers: [{ name: "x", value: "1" }] },
          { method: { type: "RegularExpression", service: "shop\\..*" } },
          { method: { method: "Get" } },
          {},
        ],
        filters: [
          { type: "RequestHeaderModifier", requestHeaderModifier: { remove: ["a"] } },
          { type: "ResponseHeaderModifier", responseHeaderModifier: { add: [{ name: "a", value: "b" }] } },
          { type: "RequestMirror", requestMirror: { backendRef: { name: "a", port: 1 } } },
        ],
        backendRefs: [{ name: "a", port: 9080, weight: 3, filters: [] }],
        sessionPersistence: { type: "Header" },
      },
    ],
  };
  const checked = grpcRouteKind.check({ spec });
  expect(violations(checked)).toBe("");
  expect(checked).toMatchObject({ ok: true, spec, warnings: [] });
});

test.each<[string, Record<string, unknown>, string]>([
  ["neither service nor method", { matches: [{ method: {} }] }, "must have a service, a method or both"],
  ["empty names", { matches: [{ method: { service: "" } }] }, "must have a service, a method or both"],
  ["a slash", { matches: [{ method: { service: "a/b" } }] }, "method.service: expected a service"],
  ["a dotted method", { matches: [{ method: { method: "a.b" } }] }, "method.method: expected a method"],
  ["HTTP's redirect", { filters: [{ type: "RequestRedirect" }] }, "filters[0].type: expected one of"],
  ["HTTP's timeouts", { timeouts: { request: "1s" } }, "timeouts: is not a known field"],
  ["a Service without port", { backendRefs: [{ name: "a" }] }, "port: is required for a Service"],
])("check refuses a rule with %s", (_what, rule, expected) => {
  expect(violations(check(rule))).toContain(expected);
});
