import { ResultCount, type ResultTable } from "../load/result-table.js";
import type { AccrualSettings, ConsecutiveRule, OutlierSettings } from "../snapshot/outlier-settings.js";
import {
  PROBE_FAILED,
  PROBE_PASSED,
  SUSPECT_5XX,
  SUSPECT_GATEWAY,
  SUSPECT_LOCAL,
  SUSPECT_RATE,
} from "./kinds.js";

/** What a failure without an answer counts as where it is not told apart: 503 for a broken connection, 504 for time. */
const CONNECT_STATUS = 503;
const TIMEOUT_STATUS = 504;
const OK_STATUS = 200;
const ERROR_STATUS = 500;
const TOO_MANY_REQUESTS = 429;

/**
 * What an answer counts as. Where the cluster says which statuses are errors, these are it and nothing else is: 500, or the
 * 5xx that it is.
 */
function judged({ errorStatuses }: OutlierSettings, status: number): number {
  if (errorStatuses === undefined) return status;
  if (!errorStatuses.has(status)) return OK_STATUS;
  return status >= 500 ? status : ERROR_STATUS;
}

/**
 * Counts an answer of an endpoint. `status`: HTTP's, or of a gRPC call what its status means in HTTP. Returns the bits
 * `SUSPECT_*` of the rules by which the endpoint is an outlier now; the counts behind them begin anew.
 */
export function recordAnswer(
  results: ResultTable,
  settings: OutlierSettings,
  slot: number,
  status: number,
): number {
  return count(results, settings, slot, judged(settings, status));
}

function count(results: ResultTable, settings: OutlierSettings, slot: number, status: number): number {
  let suspect = 0;
  const failed = status >= 500;
  if (failed) {
    if (status <= 504 && status >= 502) {
      if (countsTo(results, ResultCount.CONSECUTIVE_GATEWAY, slot, settings.consecutiveGateway))
        suspect |= SUSPECT_GATEWAY;
    } else restart(results, ResultCount.CONSECUTIVE_GATEWAY, slot);
    if (countsTo(results, ResultCount.CONSECUTIVE_5XX, slot, settings.consecutive5xx)) suspect |= SUSPECT_5XX;
  } else {
    restart(results, ResultCount.CONSECUTIVE_GATEWAY, slot);
    restart(results, ResultCount.CONSECUTIVE_5XX, slot);
  }
  if (settings.countsRates) {
    // Of failure accrual, who turns requests away fails them; it is no failure of the endpoint otherwise.
    const good = !failed && (settings.accrual === undefined || status !== TOO_MANY_REQUESTS);
    const answers = results.add(ResultCount.ANSWERS, slot);
    if (good) results.add(ResultCount.GOOD_ANSWERS, slot);
    else if (settings.accrual !== undefined && succeedsTooRarely(results, settings.accrual, slot, answers))
      suspect |= SUSPECT_RATE;
  }
  return suspect;
}

function succeedsTooRarely(
  results: ResultTable,
  { minSuccessPercent, minRequests }: AccrualSettings,
  slot: number,
  answers: number,
): boolean {
  if (minSuccessPercent === 0 || answers < minRequests) return false;
  return 100 * results.get(ResultCount.GOOD_ANSWERS, slot) < minSuccessPercent * answers;
}

/** What the answer to the request that decides about an endpoint on probation says of it (`PROBE_*`). */
export function probeAnswered(settings: OutlierSettings, status: number): number {
  return judged(settings, status) >= 500 ? PROBE_FAILED : PROBE_PASSED;
}

/** Counts a connection on which nothing more can be judged: bytes are nobody's business. */
export function recordConnected(results: ResultTable, settings: OutlierSettings, slot: number): void {
  if (settings.splitLocal) recordReached(results, settings, slot);
  else count(results, settings, slot, OK_STATUS);
}

/** Counts that an answer came: what the proxy itself sees of an endpoint is fine. */
export function recordReached(results: ResultTable, settings: OutlierSettings, slot: number): void {
  if (!settings.splitLocal) return;
  restart(results, ResultCount.CONSECUTIVE_LOCAL, slot);
  if (!settings.countsRates) return;
  results.add(ResultCount.TRIES, slot);
  results.add(ResultCount.ANSWERED_TRIES, slot);
}

/** Counts a failure that the proxy itself saw: no connection, a broken one, or no answer in time. As `recordAnswer`. */
export function recordUnreached(
  results: ResultTable,
  settings: OutlierSettings,
  slot: number,
  timedOut: boolean,
): number {
  if (!settings.splitLocal) {
    return count(results, settings, slot, timedOut ? TIMEOUT_STATUS : CONNECT_STATUS);
  }
  if (settings.countsRates) results.add(ResultCount.TRIES, slot);
  return countsTo(results, ResultCount.CONSECUTIVE_LOCAL, slot, settings.consecutiveLocal)
    ? SUSPECT_LOCAL
    : 0;
}

/** One more. Of threads that reach the limit together one gets to say so. */
function countsTo(results: ResultTable, column: ResultCount, slot: number, rule: ConsecutiveRule): boolean {
  if (rule.count === 0 || rule.enforcingPercent === 0) return false;
  return results.add(column, slot) >= rule.count && results.take(column, slot) >= rule.count;
}

/** Nearly always there is nothing to do: no write then. */
function restart(results: ResultTable, column: ResultCount, slot: number): void {
  if (results.get(column, slot) !== 0) results.set(column, slot, 0);
}
