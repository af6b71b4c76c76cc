import { expect, test } from "vitest";
import type { Kind } from "../kind.js";
import { meshCircuitBreakerKind } from "../mesh-circuit-breaker/kind.js";
import { meshTimeoutKind } from "./kind.js";

const to = (conf: object) => ({
  to: [{ targetRef: { kind: "MeshService", name: "reviews" }, default: conf }],
});

function problems(kind: Kind, spec: unknown): string[] {
  const checked = kind.check({ spec });
  return checked.ok
    ? checked.warnings.map((text) => `warning: ${text}`)
    : checked.violations.map(({ path, message }) => `${path}: ${message}`);
}

test("check accepts every documented field and keeps it", () => {
  const times = {
    connectionTimeout: "5s",
    idleTimeout: "0s",
    http: {
      requestTimeout: "15s",
      streamIdleTimeout: "30m",
      maxStreamDuration: "0s",
      maxConnectionDuration: "1h",
    },
  };
  expect(meshTimeoutKind.check({ spec: to(times) })).toEqual({ ok: true, spec: to(times), warnings: [] });
  const breaker = {
    connectionLimits: {
      maxConnections: 1,
      maxConnectionPools: 2,
      maxPendingRequests: 3,
      maxRetries: 4,
      maxRequests: 5,
    },
    outlierDetection: {
      disabled: false,
      interval: "5s",
      baseEjectionTime: "30s",
      maxEjectionPercent: 20,
      splitExternalAndLocalErrors: true,
      healthyPanicThreshold: "62.9",
      detectors: {
        totalFailures: { consecutive: 10 },
        gatewayFailures: {},
        localOriginFailures: { consecutive: 7 },
        successRate: { minimumHosts: 5, requestVolume: 10, standardDeviationFactor: "1.9" },
        failurePercentage: { minimumHosts: 5, requestVolume: 10, threshold: 85 },
      },
    },
  };
  expect(meshCircuitBreakerKind.check({ spec: to(breaker) })).toEqual({
    ok: true,
    spec: to(breaker),
    warnings: [],
  });
});

const CONF = "spec.to[0].default";

test.each<[string, Kind, unknown, readonly unknown[]]>([
  [
    "no time to connect",
    meshTimeoutKind as Kind,
    to({ connectionTimeout: "0s" }),
    [expect.stringContaining(`${CONF}.connectionTimeout: expected a duration of at least 1ms`)],
  ],
  [
    "a limit of nothing",
    meshCircuitBreakerKind as Kind,
    to({ connectionLimits: { maxRequests: 0 } }),
    [expect.stringContaining(`${CONF}.connectionLimits.maxRequests: expected a limit from 1`)],
  ],
  [
    "the time of heads",
    meshTimeoutKind as Kind,
    to({ http: { requestHeadersTimeout: "1s" } }),
    [
      `warning: ${CONF}.http.requestHeadersTimeout has no effect: limits of clients are said when a sidecar is started`,
    ],
  ],
  [
    "times of those that are called",
    meshTimeoutKind as Kind,
    { ...to({}), rules: [{ default: { idleTimeout: "1s" } }] },
    ["warning: spec.rules has no effect: callers' sidecars carry the policy out, by spec.to"],
  ],
  [
    "limits of those that are called alone",
    meshCircuitBreakerKind as Kind,
    { from: [{ targetRef: { kind: "Mesh" }, default: {} }] },
    [
      "warning: spec.to is empty: the policy holds for no calls",
      "warning: spec.from has no effect: callers' sidecars carry the policy out, by spec.to",
    ],
  ],
])("check refuses %s, or warns", (_what, kind, spec, expected) => {
  expect(problems(kind, spec)).toEqual(expected);
});
