import { expect, test } from "vitest";
import { rateLimitKind } from "./kind.js";

test("check accepts limits of every form", () => {
  const spec = {
    host: "reviews",
    selector: { matchLabels: { version: "v2" } },
    direction: "INBOUND",
    shadow: true,
    runtimeKey: "reviews.limited",
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
      {
        requests: 10,
        interval: "1s",
        per: "SOURCE",
        countsUnidentified: true,
        overrides: [{ serviceAccounts: ["web", "shop/batch"], requests: 50, interval: "2s", burst: 100 }],
      },
    ],
  };
  expect(rateLimitKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
});

const limits = [{ requests: 1, interval: "1s" }];

const global = {
  service: "default/limiter",
  port: 8081,
  domain: "shop",
  timeout: "50ms",
  failClosed: true,
  descriptors: [
    {
      match: { method: { exact: "POST" } },
      entries: [{ key: "plan", value: "free" }, { key: "user", header: "x-user" }, { source: "IDENTITY" }],
    },
  ],
};
const about = (descriptor: object) => ({ global: { ...global, descriptors: [descriptor] } });

test("check accepts limits that a service counts", () => {
  const spec = { host: "reviews", global, status: 503, tellsLimits: false };
  expect(rateLimitKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
});

test.each<[Record<string, unknown>, string]>([
  [{}, "spec: must have exactly one of limits, global"],
  [{ limits, global }, "spec: must have exactly one of limits, global"],
  [{ global, shadow: true }, "spec.shadow: cannot stand beside global"],
  [{ global, runtimeKey: "a" }, "spec.runtimeKey: cannot stand beside global"],
  [{ limits, runtimeKey: "a b" }, "spec.runtimeKey: expected a key"],
  [{ global: { ...global, service: "a b" } }, "spec.global.service: expected a service"],
  [{ global: { ...global, descriptors: [] } }, "spec.global.descriptors: must have at least one descriptor"],
  [
    about({ match: {}, entries: [{ key: "u", header: "x" }] }),
    "spec.global.descriptors[0].match: needs an entry",
  ],
  [about({ entries: [{ value: "a" }] }), "spec.global.descriptors[0].entries[0].key: is required"],
  [about({ entries: [{ key: "a" }] }), "must have exactly one of value, header, source"],
  [about({ entries: [{ key: "a", source: "IDENTITY" }] }), "entries[0].key: cannot stand beside source"],
  [about({ entries: [{ key: "a", value: "b\r\n" }] }), "expected 1 to 256 characters"],
  [
    { ...about({ entries: [{ source: "IDENTITY" }] }), host: "a", direction: "OUTBOUND" },
    "spec.global.descriptors[0].entries[0].source: cannot stand with direction OUTBOUND",
  ],
  [{ limits: [] }, "spec.limits: must have at least one limit"],
  [{ limits: [{ requests: 0, interval: "1s" }] }, "spec.limits[0].requests: must be at least 1"],
  [
    { limits: [{ requests: 1, interval: "10ms" }] },
    "spec.limits[0].interval: expected a duration of at least 50ms",
  ],
  [{ limits: [{ requests: 1 }] }, "spec.limits[0].interval: is required"],
  [{ limits: [{ ...limits[0], per: "SOURCE", perHeader: "x" }] }, "spec.limits[0]"],
  [
    { limits: [{ ...limits[0], overrides: [{ serviceAccounts: ["web"], requests: 1 }] }] },
    "spec.limits[0].overrides: needs per: SOURCE",
  ],
  [
    { limits: [{ ...limits[0], per: "SOURCE", overrides: [{ serviceAccounts: ["a", "a"], requests: 1 }] }] },
    "spec.limits[0].overrides[0].serviceAccounts[1]: is named twice",
  ],
  [
    { limits: [{ ...limits[0], per: "SOURCE", overrides: [{ serviceAccounts: ["a/b/c"], requests: 1 }] }] },
    "spec.limits[0].overrides[0].serviceAccounts[0]",
  ],
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
