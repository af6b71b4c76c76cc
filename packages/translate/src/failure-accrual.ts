import { parseDuration } from "@tulle/base";
import { create } from "@bufbuild/protobuf";
import type { DestinationRuleSpec, MeshObject } from "@tulle/api";
import type { Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { OutlierDetectionSchema } from "@tulle/xds/gen/envoy/config/cluster/v3/outlier_detection_pb.js";
import { durationOf } from "./duration.js";
import type { MeshService } from "./mesh-service.js";
import { note } from "./cluster-notes.js";
import type { Translation } from "./translation.js";

/** Linkerd's annotation: how failures of an endpoint add up. */
export const FAILURE_ACCRUAL = "balancer.linkerd.io/failure-accrual";
const CONSECUTIVE = "balancer.linkerd.io/failure-accrual-consecutive-";
const SUCCESS_RATE = "balancer.alpha.linkerd.io/failure-accrual-success-rate-";

/** All of them. */
export const FAILURE_ACCRUAL_ANNOTATIONS: readonly string[] = [
  FAILURE_ACCRUAL,
  ...["max-failures", "min-penalty", "max-penalty", "jitter-ratio"].map((name) => CONSECUTIVE + name),
  ...["threshold", "window", "min-requests"].map((name) => SUCCESS_RATE + name),
];

const MAX_PENALTY_MS = 86_400_000;

type Annotations = Readonly<Record<string, string>>;

/**
 * When an endpoint has failed too often, and how long it stays away then, as Linkerd's annotations say it:
 * of a DestinationRule for the service, else of the service itself. Undefined when neither asks for it.
 */
export interface FailureAccrual {
  /** In a row; 0 = they are not counted. */
  readonly maxFailures: number;
  readonly minPenaltyMs: number;
  readonly maxPenaltyMs: number;
  readonly jitterRatio: number;
  /** Undefined: rates do not count. */
  readonly successRate:
    | { readonly threshold: number; readonly windowMs: number; readonly minRequests: number }
    | undefined;
}

/** What holds for calls to a service. Warns of what annotations say that means nothing. */
export function failureAccrualFor(
  t: Translation,
  rules: readonly MeshObject<DestinationRuleSpec>[],
  { host, annotations: own = {} }: Pick<MeshService, "host" | "annotations">,
): FailureAccrual | undefined {
  const ruled = rules.map(({ metadata }) => metadata.annotations ?? {}).find(asksForIt);
  const annotations = ruled ?? (asksForIt(own) ? own : undefined);
  return annotations && parseAccrual(annotations, (problem) => t.warn(`${host}: annotation ${problem}`));
}

function asksForIt(annotations: Annotations): boolean {
  return Object.hasOwn(annotations, FAILURE_ACCRUAL);
}

function parseAccrual(annotations: Annotations, warn: (problem: string) => void): FailureAccrual | undefined {
  const mode = annotations[FAILURE_ACCRUAL];
  if (mode !== "consecutive" && mode !== "unified") {
    warn(`${FAILURE_ACCRUAL} must be consecutive or unified; ${JSON.stringify(mode)} has no effect`);
    return undefined;
  }
  function read(
    key: string,
    fallback: number,
    what: string,
    parse: (text: string) => number | undefined,
  ): number {
    if (!Object.hasOwn(annotations, key)) return fallback;
    const value = parse(annotations[key]!.trim());
    if (value === undefined) warn(`${key} must be ${what}; its default holds`);
    return value ?? fallback;
  }
  const count = (least: number) => (text: string) =>
    /^\d{1,6}$/.test(text) && Number(text) >= least ? Number(text) : undefined;
  const ratio = (most: number) => (text: string) =>
    /^\d{1,3}(?:\.\d{1,9})?$/.test(text) && Number(text) <= most ? Number(text) : undefined;
  const penalty = (text: string): number | undefined => {
    const ms = parseDuration(text);
    return ms !== undefined && ms >= 1 && ms <= MAX_PENALTY_MS ? ms : undefined;
  };
  const time = "a duration such as 1s, a day at most";
  const minPenaltyMs = read(`${CONSECUTIVE}min-penalty`, 1000, time, penalty);
  const maxPenaltyMs = read(`${CONSECUTIVE}max-penalty`, 60_000, time, penalty);
  if (maxPenaltyMs < minPenaltyMs)
    warn(`${CONSECUTIVE}max-penalty is shorter than min-penalty, which holds for both`);
  const unified = mode === "unified";
  if (!unified && Object.keys(annotations).some((key) => key.startsWith(SUCCESS_RATE)))
    warn(`${SUCCESS_RATE}* needs ${FAILURE_ACCRUAL}: unified; it has no effect`);
  return {
    // Without a rate to go by, nothing would be left that ejects.
    maxFailures: read(
      `${CONSECUTIVE}max-failures`,
      7,
      unified ? "a whole number" : "a whole number above 0",
      count(unified ? 0 : 1),
    ),
    minPenaltyMs,
    maxPenaltyMs: Math.max(minPenaltyMs, maxPenaltyMs),
    jitterRatio: read(`${CONSECUTIVE}jitter-ratio`, 0.5, "a number from 0 to 100", ratio(100)),
    successRate: unified
      ? {
          threshold: read(`${SUCCESS_RATE}threshold`, 0.8, "a number from 0 to 1", ratio(1)),
          windowMs: read(`${SUCCESS_RATE}window`, 10_000, time, penalty),
          minRequests: read(`${SUCCESS_RATE}min-requests`, 5, "a whole number above 0", count(1)),
        }
      : undefined,
  };
}

/**
 * Failure accrual as Envoy's outlier detection, which it replaces. What Envoy has no field for (penalties that double,
 * their jitter, probation) is metadata for Tulle's sidecars; proxyless clients do the rest.
 */
export function applyFailureAccrual(t: Translation, cluster: Cluster, accrual: FailureAccrual): void {
  if (cluster.outlierDetection !== undefined)
    t.warn(`${cluster.name}: outlierDetection has no effect beside the annotation ${FAILURE_ACCRUAL}`);
  const { maxFailures, minPenaltyMs, maxPenaltyMs, jitterRatio, successRate } = accrual;
  cluster.outlierDetection = create(OutlierDetectionSchema, {
    consecutive5xx: maxFailures,
    enforcingConsecutive5xx: maxFailures > 0 ? 100 : 0,
    enforcingSuccessRate: 0,
    baseEjectionTime: durationOf(minPenaltyMs),
    maxEjectionTime: durationOf(maxPenaltyMs),
    maxEjectionPercent: 100,
    ...(successRate && {
      interval: durationOf(successRate.windowMs),
      failurePercentageThreshold: Math.round((1 - successRate.threshold) * 100),
      failurePercentageMinimumHosts: 1,
      failurePercentageRequestVolume: successRate.minRequests,
      enforcingFailurePercentage: 100,
    }),
  });
  if (t.view.dialect === "tulle") {
    const minSuccessRate = successRate?.threshold;
    note(cluster, {
      failureAccrual: { jitterRatio, ...(minSuccessRate !== undefined && { minSuccessRate }) },
    });
  } else
    t.warn(`${cluster.name}: proxyless gRPC clients eject as ${FAILURE_ACCRUAL} says, without probation`);
}
