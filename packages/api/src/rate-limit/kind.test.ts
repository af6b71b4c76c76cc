import { expect, test } from "vitest";
import { rateLimitKind } from "./kind.js";

test("check accepts limits of every form", () => {
  const spec = {
    host: "reviews",
    selector: { matchLabels: { version: "v2" } },
    direction: "INBOUND",
    shadow: true,
    status: 503,
    grpcStatus: "UNAVAILABLE",
    tellsLimits: false,
    limits: [
      { requests: 100, interval: "1s" },
      {
        match: { uri: { prefix: "/login" }, method: { exact: "POST" }, headers: { "x-plan": {} } },
        requests: 5,
        interval: "1m",
        burst: 10,
        per: "SOURCE",
      },
      { requests: 5, interval: "50ms", perHeader: "x-user" },
    ],
  };
  expect(rateLimitKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
});

const limits = [{ requests: 1, interval: "1s" }];

test.each<[Record<string, unknown>, string]>([
  [{}, "spec.limits: "],
  [{ limits: [] }, "spec.limits: must have at least one limit"],
  [{ limits: [{ requests: 0, interval: "1s" }] }, "spec.limits[0].requests: must be at least 1"],
  [
    { limits: [{ requests: 1, interval: "10ms" }] },
    "spec.limits[0].interval: expected a duration of at least 50ms",
  ],
  [{ limits: [{ requests: 1 }] }, "spec.limits[0].interval: is required"],
  [{ limits: [{ ...limits[0], per: "SOURCE", perHeader: "x" }] }, "spec.limits[0]"],
  [{ limits: [{ ...limits[0], perHeader: "no name" }] }, "spec.limits[0].perHeader: expected a header name"],
  [{ limits, status: 200 }, "spec.status: expected an HTTP error status from 400 to 599"],
  [{ limits, direction: "OUTBOUND" }, "spec.host: is required with direction OUTBOUND"],
  [
    { host: "a", limits: [{ ...limits[0], per: "SOURCE" }], direction: "OUTBOUND" },
    "spec.limits[0].per: cannot be SOURCE with direction OUTBOUND",
  ],
  [{ limits, burst: 1 }, "spec.burst"],
])("check refuses %j", (spec, expected) => {
  const checked = rateLimitKind.check({ spec });
  const found = checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
  expect(found.join("\n")).toContain(expected);
});
