import type { ClientSideWeightedRoundRobin } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin_pb.js";
import type { LoadTable } from "../contract.js";
import { durationMs } from "../snapshot/duration.js";
import { at, invalid } from "../snapshot/invalid.js";

/** How endpoints are weighed by what they report of their load. Times in milliseconds. */
export interface ReportedWeights {
  /** So long an endpoint must have reported before its reports count. */
  readonly blackoutMs: number;
  /** A report that is older does not count any more. */
  readonly expirationMs: number;
  readonly updateMs: number;
  /** How much a share of errors counts as load. */
  readonly errorPenalty: number;
}

const BLACKOUT_MS = 10_000;
const EXPIRATION_MS = 180_000;
const UPDATE_MS = 1000;
const MIN_UPDATE_MS = 100;

/** Compiles Envoy's policy; its defaults are those of gRFC A58. */
export function compileReportedWeights(field: string, config: ClientSideWeightedRoundRobin): ReportedWeights {
  if (config.enableOobLoadReport === true) {
    throw invalid(at(field, "enable_oob_load_report"), "is not supported: reports are read from answers");
  }
  const penalty = config.errorUtilizationPenalty ?? 1;
  if (!(penalty >= 0)) throw invalid(at(field, "error_utilization_penalty"), "must not be negative");
  const update = durationMs(at(field, "weight_update_period"), config.weightUpdatePeriod) ?? UPDATE_MS;
  return {
    blackoutMs: durationMs(at(field, "blackout_period"), config.blackoutPeriod) ?? BLACKOUT_MS,
    expirationMs:
      durationMs(at(field, "weight_expiration_period"), config.weightExpirationPeriod) ?? EXPIRATION_MS,
    updateMs: Math.max(MIN_UPDATE_MS, update),
    errorPenalty: penalty,
  };
}

/**
 * The weights of endpoints by their reports: requests a second for each unit of load, errors counting as load. Who has none
 * gets the mean of the others; `assigned`, their weights by configuration, where fewer than two have any.
 */
export function weighReported(
  { reports }: LoadTable,
  settings: ReportedWeights,
  slots: readonly number[],
  assigned: readonly number[],
  now: number,
): readonly number[] {
  const weights = slots.map((slot) => {
    if (reports.ageMs(slot, now) >= settings.expirationMs) return 0;
    if (reports.spanMs(slot, now) < settings.blackoutMs) return 0;
    const requests = reports.requestsPerSecond(slot);
    if (requests === 0) return 0;
    const errors = (reports.errorsPerSecond(slot) / requests) * settings.errorPenalty;
    const load = reports.utilization(slot) + errors;
    return load > 0 ? requests / load : 0;
  });
  const known = weights.filter((weight) => weight > 0);
  if (known.length < 2) return assigned;
  const mean = known.reduce((sum, weight) => sum + weight, 0) / known.length;
  return weights.map((weight) => (weight > 0 ? weight : mean));
}
