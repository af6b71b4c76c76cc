import { z } from "zod";
import { duration, positiveDuration } from "../schema/durations.js";
import { headerName, isToken } from "../schema/headers.js";
import { hostPattern } from "../schema/hosts.js";
import { mapOf } from "../schema/labels.js";
import { decimal, integer, percent, port, uint32, wholePercent } from "../schema/numbers.js";
import { statusOrRange } from "../schema/status-ranges.js";
import { label, nonEmpty, stringThat, text } from "../schema/strings.js";
import { atLeastOne, atMostOne, isFields, struct, type Rule } from "../schema/struct.js";
import type { HealthCheckSpec } from "./type.js";

const count = integer(1, 1_000_000, "a count");
const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"];

const path = stringThat(
  (value) => value.length <= 8192 && /^\/[\x21-\x7e]*$/.test(value),
  'a path that begins with "/", such as "/healthz"',
);
const headerValue = stringThat(
  // oxlint-disable-next-line no-control-regex
  (value) => value.length <= 16_384 && !/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value),
  "a header value without line breaks",
);
const values = mapOf(headerValue, isToken, 'a header name such as "x-probe"');
const receive = z.array(nonEmpty).max(64, { error: "must have at most 64 items" });

const http = struct({
  path,
  host: label.exactOptional(),
  method: z.enum(METHODS).exactOptional(),
  expectedStatuses: z.array(statusOrRange).exactOptional(),
  failAtOnceStatuses: z.array(statusOrRange).exactOptional(),
  headers: struct({
    set: values.exactOptional(),
    remove: z.array(headerName).exactOptional(),
  }).exactOptional(),
  body: nonEmpty.exactOptional(),
  receive: receive.exactOptional(),
});

const tcp = struct({ send: nonEmpty.exactOptional(), receive: receive.exactOptional() });

const grpc = struct({
  service: text.exactOptional(),
  authority: label.exactOptional(),
  metadata: values.exactOptional(),
});

const redis = struct({ key: nonEmpty.exactOptional() });

const passive = struct(
  {
    interval: positiveDuration.exactOptional(),
    baseEjectionTime: positiveDuration.exactOptional(),
    maxEjectionTime: positiveDuration.exactOptional(),
    maxEjectionTimeJitter: duration.exactOptional(),
    maxEjectionPercent: wholePercent.exactOptional(),
    alwaysEjectOne: z.boolean().exactOptional(),
    healthCheckUnejects: z.boolean().exactOptional(),
    consecutive5xxErrors: count.exactOptional(),
    consecutiveGatewayErrors: count.exactOptional(),
    consecutiveLocalOriginFailures: count.exactOptional(),
    successRate: struct({
      minimumHosts: uint32.exactOptional(),
      requestVolume: uint32.exactOptional(),
      stdevFactor: decimal(0, 1000).exactOptional(),
      enforcing: wholePercent.exactOptional(),
    }).exactOptional(),
    failurePercentage: struct({
      threshold: integer(1, 100, "a percentage"),
      minimumHosts: uint32.exactOptional(),
      requestVolume: uint32.exactOptional(),
      enforcing: wholePercent.exactOptional(),
    }).exactOptional(),
  },
  atLeastOne(
    "consecutive5xxErrors",
    "consecutiveGatewayErrors",
    "consecutiveLocalOriginFailures",
    "successRate",
    "failurePercentage",
  ),
);

/** Fields that say how to ask. */
const ASKING = {
  interval: positiveDuration.exactOptional(),
  timeout: positiveDuration.exactOptional(),
  unhealthyThreshold: count.exactOptional(),
  healthyThreshold: count.exactOptional(),
  initialJitter: duration.exactOptional(),
  intervalJitter: duration.exactOptional(),
  intervalJitterPercent: percent.exactOptional(),
  noTrafficInterval: positiveDuration.exactOptional(),
  noTrafficHealthyInterval: positiveDuration.exactOptional(),
  unhealthyInterval: positiveDuration.exactOptional(),
  unhealthyEdgeInterval: positiveDuration.exactOptional(),
  healthyEdgeInterval: positiveDuration.exactOptional(),
  checkPort: port.exactOptional(),
  reuseConnection: z.boolean().exactOptional(),
  alwaysLogFailures: z.boolean().exactOptional(),
  alwaysLogSuccesses: z.boolean().exactOptional(),
};

const PROBES = ["http", "tcp", "grpc", "redis"];

/** Times and thresholds of a check that does not ask would be believed to do something. */
const askingNeedsProbe: Rule = (fields, report) => {
  if (PROBES.some((name) => isFields(fields[name]))) return;
  for (const name of Object.keys(ASKING)) {
    if (fields[name] !== undefined) report([name], `has no effect without one of ${PROBES.join(", ")}`);
  }
};

export const healthCheckSpec: z.ZodType<HealthCheckSpec> = struct(
  {
    host: hostPattern,
    port: port.exactOptional(),
    subset: label.exactOptional(),
    http: http.exactOptional(),
    tcp: tcp.exactOptional(),
    grpc: grpc.exactOptional(),
    redis: redis.exactOptional(),
    ...ASKING,
    passive: passive.exactOptional(),
  },
  atMostOne(...PROBES),
  atLeastOne(...PROBES, "passive"),
  askingNeedsProbe,
);
