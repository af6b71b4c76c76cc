import { z } from "zod";
import { parseDuration } from "@tulle/base";
import { durationOf, positiveDuration } from "../schema/durations.js";
import { host, hostPattern } from "../schema/hosts.js";
import { decimal, integer, percent, port, uint32 } from "../schema/numbers.js";
import { statusOrRange } from "../schema/status-ranges.js";
import { headerName } from "../schema/headers.js";
import { label, stringThat } from "../schema/strings.js";
import { atLeastOne, struct, type Rule } from "../schema/struct.js";
import { GRPC_STATUS_CODES } from "../virtual-service/grpc-status.js";
import type { TrafficPolicySpec } from "./type.js";

const MAX_HEDGE_AFTER_MS = 3_600_000;
const MAX_WINDOW_MS = 3_600_000;
const grpcStatus = stringThat(
  (value) => GRPC_STATUS_CODES.has(value),
  'a gRPC status such as "OK" or "NOT_FOUND"',
);
const count = integer(1, 1_000_000, "a count");

/** A duration between two, both included. */
function durationWithin(minimumMs: number, maximumMs: number, expected: string): z.ZodType<string> {
  return stringThat((value) => {
    const ms = parseDuration(value);
    return ms !== undefined && ms >= minimumMs && ms <= maximumMs;
  }, expected);
}

const hedging = struct({
  after: durationWithin(1, MAX_HEDGE_AFTER_MS, 'a duration from 1ms to 1h, such as "50ms"'),
  max: integer(1, 5, "a number of tries").exactOptional(),
});

const minBelowMax: Rule = (fields, report) => {
  const { minConcurrency = 3, maxConcurrency = 1000 } = fields;
  if (typeof minConcurrency !== "number" || typeof maxConcurrency !== "number") return;
  if (minConcurrency > maxConcurrency)
    report(["minConcurrency"], `is ${minConcurrency}, above maxConcurrency, ${maxConcurrency}`);
};

const adaptiveConcurrency = struct(
  {
    percentile: percent.exactOptional(),
    updateInterval: positiveDuration.exactOptional(),
    maxConcurrency: count.exactOptional(),
    minConcurrency: count.exactOptional(),
    bufferPercent: percent.exactOptional(),
    measureInterval: durationOf(100, 'a duration of at least 100ms, such as "60s"').exactOptional(),
    measureRequests: count.exactOptional(),
    measureJitterPercent: percent.exactOptional(),
    status: integer(400, 599, "an HTTP error status").exactOptional(),
  },
  minBelowMax,
);

const admissionControl = struct({
  window: durationWithin(1000, MAX_WINDOW_MS, 'a duration from 1s to 1h, such as "30s"').exactOptional(),
  successRate: decimal(1, 100, "a percentage").exactOptional(),
  aggression: decimal(1, 1000).exactOptional(),
  minRequestsPerSecond: uint32.exactOptional(),
  maxRejectionPercent: percent.exactOptional(),
  httpSuccesses: z
    .array(statusOrRange)
    .min(1, "must have at least one status")
    .max(64, "must have at most 64 items")
    .exactOptional(),
  grpcSuccesses: z
    .array(grpcStatus)
    .min(1, "must have at least one status")
    .max(17, "must have at most 17 items")
    .exactOptional(),
});

const loadReports = struct({
  blackout: durationWithin(0, MAX_WINDOW_MS, 'a duration up to 1h, such as "10s"').exactOptional(),
  expiration: durationWithin(1, MAX_WINDOW_MS, 'a duration from 1ms to 1h, such as "3m"').exactOptional(),
  updateInterval: durationWithin(100, MAX_WINDOW_MS, "a duration from 100ms to 1h").exactOptional(),
  errorPenalty: decimal(0, 1000).exactOptional(),
});

const connections = struct(
  {
    preconnectRatio: decimal(1, 3, "a ratio").exactOptional(),
    perClientConnection: z.boolean().exactOptional(),
    maxPerInstance: count.exactOptional(),
    maxPools: count.exactOptional(),
    highPriority: struct(
      {
        maxConnections: uint32.exactOptional(),
        maxPendingRequests: uint32.exactOptional(),
        maxRequests: uint32.exactOptional(),
        maxRetries: uint32.exactOptional(),
      },
      atLeastOne("maxConnections", "maxPendingRequests", "maxRequests", "maxRetries"),
    ).exactOptional(),
  },
  atLeastOne("preconnectRatio", "perClientConnection", "maxPerInstance", "maxPools", "highPriority"),
);

const waitForEndpoint = struct({
  timeout: durationWithin(1, 60_000, 'a duration from 1ms to 60s, such as "3s"').exactOptional(),
  maxRequests: integer(1, 10_000, "a number of requests").exactOptional(),
});

/** What is decided before anybody knows the subset, or by the service's own sidecar, which is called by no subset. */
const NOT_BY_SUBSET = ["hedging", "retries", "adaptiveConcurrency", "admissionControl", "pathNormalization"];

const subsetsOnlyBalance: Rule = (fields, report) => {
  if (fields["subset"] === undefined) return;
  for (const name of NOT_BY_SUBSET) {
    if (fields[name] !== undefined)
      report([name], "cannot differ between subsets: put it into a TrafficPolicy without subset");
  }
};

const BALANCING = ["maxEndpoints", "overrideHostHeader", "connections", "waitForEndpoint", "failover"];

const reportsNeedTheirBalancer: Rule = (fields, report) => {
  if (fields["loadReports"] === undefined || fields["loadBalancer"] === "CLIENT_SIDE_WEIGHTED_ROUND_ROBIN")
    return;
  report(["loadReports"], "has no effect without loadBalancer: CLIENT_SIDE_WEIGHTED_ROUND_ROBIN");
};

/** Every field of a TrafficPolicy. */
export const trafficPolicySpec: z.ZodType<TrafficPolicySpec> = struct(
  {
    host: hostPattern,
    port: port.exactOptional(),
    subset: label.exactOptional(),
    loadBalancer: z.enum(["PEAK_EWMA", "CLIENT_SIDE_WEIGHTED_ROUND_ROBIN"]).exactOptional(),
    loadReports: loadReports.exactOptional(),
    maxEndpoints: integer(1, 100_000, "a number of instances").exactOptional(),
    overrideHostHeader: headerName.exactOptional(),
    connections: connections.exactOptional(),
    waitForEndpoint: waitForEndpoint.exactOptional(),
    failover: z
      .array(host)
      .min(1, "must have at least one host")
      .max(16, "must have at most 16 hosts")
      .exactOptional(),
    hashBalanceFactor: integer(100, 999_999, "a percentage").exactOptional(),
    hedging: hedging.exactOptional(),
    retries: struct({ nonIdempotent: z.boolean().exactOptional() }).exactOptional(),
    adaptiveConcurrency: adaptiveConcurrency.exactOptional(),
    admissionControl: admissionControl.exactOptional(),
    pathNormalization: z.enum(["NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"]).exactOptional(),
  },
  atLeastOne("loadBalancer", "hashBalanceFactor", ...BALANCING, ...NOT_BY_SUBSET),
  reportsNeedTheirBalancer,
  subsetsOnlyBalance,
);
