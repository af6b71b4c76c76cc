import { expect, test } from "vitest";
import { meshRateLimitKind } from "./kind.js";

function problems(spec: unknown): string[] {
  const checked = meshRateLimitKind.check({ spec });
  return checked.ok
    ? checked.warnings.map((text) => `warning: ${text}`)
    : checked.violations.map(({ path, message }) => `${path}: ${message}`);
}

const rule = (local: object) => ({ rules: [{ default: { local } }] });
const requestRate = { num: 5, interval: "10s" };

test("check accepts every documented field and keeps it", () => {
  const headers = { set: [{ name: "a", value: "1" }], add: [{ name: "b", value: "2" }] };
  const http = { disabled: false, requestRate, onRateLimit: { status: 503, headers } };
  for (const spec of [
    { targetRef: { kind: "Dataplane", labels: { app: "web" } }, ...rule({ http }) },
    { from: [{ targetRef: { kind: "Mesh" }, default: { local: { http, tcp: { disabled: true } } } }] },
  ]) {
    expect(meshRateLimitKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
  }
});

test.each<[string, unknown, readonly unknown[]]>([
  [
    "connections",
    rule({ tcp: { connectionRate: requestRate } }),
    ["warning: spec.rules[0].default.local.tcp.connectionRate has no effect: connections are not counted"],
  ],
  ["nothing", {}, ["warning: spec.rules is empty: the policy limits nothing"]],
  [
    "an interval too short to count",
    rule({ http: { requestRate: { num: 1, interval: "10ms" } } }),
    [
      expect.stringContaining(
        "spec.rules[0].default.local.http.requestRate.interval: expected a duration of at least 50ms",
      ),
    ],
  ],
  [
    "no requests at all",
    rule({ http: { requestRate: { num: 0, interval: "1s" } } }),
    [expect.stringContaining("requestRate.num: expected a number from 1")],
  ],
  [
    "some clients only",
    { from: [{ targetRef: { kind: "MeshService" } }] },
    [expect.stringContaining("spec.from[0].targetRef.kind")],
  ],
  ["both forms", { from: [], rules: [] }, [expect.stringContaining("cannot have rules and from together")]],
  ["calls of clients", { to: [] }, ["spec.to: is not a known field"]],
])("check refuses %s, or warns", (_what, spec, expected) => {
  expect(problems(spec)).toEqual(expected);
});
