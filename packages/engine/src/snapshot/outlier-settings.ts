import type { Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import type { OutlierDetection } from "@tulle/xds/gen/envoy/config/cluster/v3/outlier_detection_pb.js";
import { durationMs } from "./duration.js";
import { at, invalid } from "./invalid.js";
import { filterMetadata } from "./metadata.js";

/** A consecutive count: how many make an outlier, and in how many percent of cases that has consequences. */
export interface ConsecutiveRule {
  readonly count: number;
  readonly enforcingPercent: number;
}

/** A rule over an interval: endpoints are compared once enough of them had enough requests. */
export interface RateRule {
  readonly minimumHosts: number;
  readonly requestVolume: number;
  readonly enforcingPercent: number;
  /** For local origin, where that is told apart. */
  readonly enforcingLocalPercent: number;
}

/** How penalties grow, and what ends them, as Linkerd's failure accrual has it. */
export interface AccrualSettings {
  /** So much of a penalty may come on top of it, by chance. */
  readonly jitterRatio: number;
  /** Below it an endpoint is an outlier as soon as `minRequests` were answered in an interval; 0 = whatever it is. */
  readonly minSuccessPercent: number;
  readonly minRequests: number;
}

/** What makes an endpoint of a cluster an outlier, and what follows (Envoy's `outlier_detection`). */
export interface OutlierSettings {
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  readonly maxJitterMs: number;
  readonly maxEjectionPercent: number;
  readonly alwaysEjectOne: boolean;
  readonly consecutive5xx: ConsecutiveRule;
  readonly consecutiveGateway: ConsecutiveRule;
  readonly consecutiveLocal: ConsecutiveRule;
  /** Failures without an answer are counted for themselves instead of as 5xx. */
  readonly splitLocal: boolean;
  /** `stdevFactor`: how many standard deviations below the mean, times 1000. */
  readonly successRate: RateRule & { readonly stdevFactor: number };
  readonly failurePercentage: RateRule & { readonly threshold: number };
  /** Whether answers are counted over the interval, because a rule may need it. */
  readonly countsRates: boolean;
  readonly healthCheckUnejects: boolean;
  /** The only statuses of answers that are errors; undefined: 5xx. */
  readonly errorStatuses: ReadonlySet<number> | undefined;
  /** Penalties double, and after one a single request decides; undefined: Envoy's ejections. */
  readonly accrual: AccrualSettings | undefined;
}

const FIELD = "outlier_detection";

/**
 * Compiles `outlier_detection`, with Envoy's defaults, and of the metadata `tulle.dev` the keys `outlierErrorStatuses` and
 * `failureAccrual` (`{jitterRatio, minSuccessRate?}`).
 */
export function compileOutlier({
  outlierDetection: message,
  metadata,
}: Pick<Cluster, "outlierDetection" | "metadata">): OutlierSettings | undefined {
  if (message === undefined) return undefined;
  if (message.monitors.length > 0)
    throw invalid(at(FIELD, "monitors"), "is not supported: there are none to name");
  const baseEjectionMs = time("base_ejection_time", message.baseEjectionTime, 30_000);
  const successRate = {
    minimumHosts: message.successRateMinimumHosts ?? 5,
    requestVolume: message.successRateRequestVolume ?? 100,
    stdevFactor: message.successRateStdevFactor ?? 1900,
    enforcingPercent: percent("enforcing_success_rate", message.enforcingSuccessRate, 100),
    enforcingLocalPercent: percent(
      "enforcing_local_origin_success_rate",
      message.enforcingLocalOriginSuccessRate,
      100,
    ),
  };
  const failurePercentage = {
    threshold: percent("failure_percentage_threshold", message.failurePercentageThreshold, 85),
    minimumHosts: message.failurePercentageMinimumHosts ?? 5,
    requestVolume: message.failurePercentageRequestVolume ?? 50,
    enforcingPercent: percent("enforcing_failure_percentage", message.enforcingFailurePercentage, 0),
    enforcingLocalPercent: percent(
      "enforcing_failure_percentage_local_origin",
      message.enforcingFailurePercentageLocalOrigin,
      0,
    ),
  };
  const splitLocal = message.splitExternalLocalOriginErrors;
  const accrual = accrualSettings(metadata, failurePercentage.requestVolume);
  return {
    intervalMs: time("interval", message.interval, 10_000),
    baseEjectionMs,
    maxEjectionMs: Math.max(time("max_ejection_time", message.maxEjectionTime, 300_000), baseEjectionMs),
    maxJitterMs: durationMs(at(FIELD, "max_ejection_time_jitter"), message.maxEjectionTimeJitter) ?? 0,
    maxEjectionPercent: percent("max_ejection_percent", message.maxEjectionPercent, 10),
    alwaysEjectOne: message.alwaysEjectOneHost ?? false,
    consecutive5xx: {
      count: message.consecutive5xx ?? 5,
      enforcingPercent: percent("enforcing_consecutive_5xx", message.enforcingConsecutive5xx, 100),
    },
    consecutiveGateway: {
      count: message.consecutiveGatewayFailure ?? 5,
      enforcingPercent: percent(
        "enforcing_consecutive_gateway_failure",
        message.enforcingConsecutiveGatewayFailure,
        0,
      ),
    },
    consecutiveLocal: {
      count: message.consecutiveLocalOriginFailure ?? 5,
      enforcingPercent: percent(
        "enforcing_consecutive_local_origin_failure",
        message.enforcingConsecutiveLocalOriginFailure,
        100,
      ),
    },
    splitLocal,
    successRate,
    failurePercentage,
    countsRates: [successRate, failurePercentage].some(
      (rule) => rule.enforcingPercent > 0 || (splitLocal && rule.enforcingLocalPercent > 0),
    ),
    healthCheckUnejects: message.successfulActiveHealthCheckUnejectHost ?? true,
    errorStatuses: errorStatuses(metadata),
    accrual,
  };
}

function accrualSettings(metadata: Cluster["metadata"], minRequests: number): AccrualSettings | undefined {
  const said = filterMetadata(metadata, "tulle.dev")?.["failureAccrual"];
  if (typeof said !== "object" || said === null || Array.isArray(said)) return undefined;
  const { jitterRatio, minSuccessRate } = said;
  return {
    jitterRatio: typeof jitterRatio === "number" && jitterRatio >= 0 ? Math.min(jitterRatio, 100) : 0,
    minSuccessPercent: typeof minSuccessRate === "number" ? minSuccessRate * 100 : 0,
    minRequests,
  };
}

function errorStatuses(metadata: Cluster["metadata"]): ReadonlySet<number> | undefined {
  const listed = filterMetadata(metadata, "tulle.dev")?.["outlierErrorStatuses"];
  if (!Array.isArray(listed)) return undefined;
  const statuses = listed.filter((one) => typeof one === "number");
  return statuses.length === 0 ? undefined : new Set(statuses);
}

/** Envoy refuses zero, too: a sweep that never rests. */
function time(field: string, value: OutlierDetection["interval"], fallbackMs: number): number {
  const ms = durationMs(at(FIELD, field), value) ?? fallbackMs;
  if (ms === 0) throw invalid(at(FIELD, field), "must be above zero");
  return ms;
}

function percent(field: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (value > 100) throw invalid(at(FIELD, field), "must be at most 100");
  return value;
}
