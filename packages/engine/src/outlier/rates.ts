import { ResultCount, type ResultTable } from "../load/result-table.js";
import type { OutlierSettings } from "../snapshot/outlier-settings.js";
import type { OutlierKind } from "./kinds.js";

/** An endpoint that stands out over an interval, and by how much. */
export interface RateOutlier {
  readonly slot: number;
  readonly kind: OutlierKind;
  /** Percent of what was asked of it that succeeded, and how many requests that is of. */
  readonly successPercent: number;
  readonly requests: number;
  /** What it fell short of, percent: a success rate, or the share of failures that it reached. */
  readonly thresholdPercent: number;
  readonly enforcingPercent: number;
}

interface Share {
  readonly slot: number;
  readonly requests: number;
  readonly successPercent: number;
}

/** The endpoints that stand out among `slots` by what was counted since the last call. Starts the counts anew. */
export function takeRateOutliers(
  results: ResultTable,
  settings: OutlierSettings,
  slots: readonly number[],
): RateOutlier[] {
  const answers = takeShares(results, slots, ResultCount.ANSWERS, ResultCount.GOOD_ANSWERS);
  const { successRate, failurePercentage } = settings;
  const outliers = [
    ...belowTheOthers(answers, settings, "success_rate", successRate.enforcingPercent),
    ...failingTooOften(answers, settings, "failure_percentage", failurePercentage.enforcingPercent),
  ];
  if (!settings.splitLocal) return outliers;
  const tries = takeShares(results, slots, ResultCount.TRIES, ResultCount.ANSWERED_TRIES);
  return [
    ...outliers,
    ...belowTheOthers(tries, settings, "local_origin_success_rate", successRate.enforcingLocalPercent),
    ...failingTooOften(
      tries,
      settings,
      "local_origin_failure_percentage",
      failurePercentage.enforcingLocalPercent,
    ),
  ];
}

function takeShares(
  results: ResultTable,
  slots: readonly number[],
  all: ResultCount,
  good: ResultCount,
): Share[] {
  return slots.map((slot) => {
    const requests = results.take(all, slot);
    // Counted after: with another thread in between there may be one more good than there are at all.
    const succeeded = Math.min(results.take(good, slot), requests);
    return { slot, requests, successPercent: requests === 0 ? 100 : (100 * succeeded) / requests };
  });
}

/** Success rates more than some standard deviations below the mean. */
function belowTheOthers(
  shares: readonly Share[],
  { successRate: { requestVolume, minimumHosts, stdevFactor } }: OutlierSettings,
  kind: OutlierKind,
  enforcingPercent: number,
): RateOutlier[] {
  if (enforcingPercent === 0) return [];
  const judged = shares.filter(({ requests }) => requests > 0 && requests >= requestVolume);
  if (judged.length === 0 || judged.length < minimumHosts) return [];
  const mean = judged.reduce((sum, { successPercent }) => sum + successPercent, 0) / judged.length;
  const variance =
    judged.reduce((sum, { successPercent }) => sum + (successPercent - mean) ** 2, 0) / judged.length;
  const thresholdPercent = mean - Math.sqrt(variance) * (stdevFactor / 1000);
  return judged
    .filter(({ successPercent }) => successPercent < thresholdPercent)
    .map((share) => ({ ...share, kind, thresholdPercent, enforcingPercent }));
}

/** Shares of failures at a threshold or above. */
function failingTooOften(
  shares: readonly Share[],
  { failurePercentage: { requestVolume, minimumHosts, threshold } }: OutlierSettings,
  kind: OutlierKind,
  enforcingPercent: number,
): RateOutlier[] {
  if (enforcingPercent === 0) return [];
  const judged = shares.filter(({ requests }) => requests > 0 && requests >= requestVolume);
  if (judged.length === 0 || judged.length < minimumHosts) return [];
  return judged
    .filter(({ successPercent }) => 100 - successPercent >= threshold)
    .map((share) => ({ ...share, kind, thresholdPercent: threshold, enforcingPercent }));
}
