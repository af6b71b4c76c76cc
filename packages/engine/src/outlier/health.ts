import {
  UNHEALTHY_CHECK,
  UNHEALTHY_DEGRADED,
  UNHEALTHY_EJECTED,
  UNHEALTHY_PROBATION,
  type LoadTable,
} from "../contract.js";
import { ResultCount, ResultTime } from "../load/result-table.js";
import { OUTLIER_KINDS, type OutlierKind } from "./kinds.js";

/** What is held against an endpoint, as plain data. */
export interface EndpointHealth {
  /** An active health check says that it is down. */
  readonly checkFailed: boolean;
  /** An active health check says that it should be used last. */
  readonly degraded: boolean;
  readonly ejected: boolean;
  /** It is ejected still, and one request is to show whether it may come back. */
  readonly onProbation: boolean;
  /** Why it was ejected the last time; undefined = it never was. */
  readonly ejectedFor: OutlierKind | undefined;
  /** Milliseconds since the epoch; 0 = it never was. */
  readonly ejectedAtMs: number;
  /** It stays away so long at least, unless a health check brings it back. */
  readonly ejectedUntilMs: number;
  readonly ejections: number;
  /** Failures one after the other so far. */
  readonly consecutive5xx: number;
  readonly consecutiveGatewayFailures: number;
  readonly consecutiveLocalOriginFailures: number;
}

/** Why an endpoint is passed over, or was. */
export function healthOf(load: LoadTable, slot: number): EndpointHealth {
  const { results } = load;
  const bits = load.unhealthy(slot);
  return {
    checkFailed: (bits & UNHEALTHY_CHECK) !== 0,
    degraded: (bits & UNHEALTHY_DEGRADED) !== 0,
    ejected: (bits & UNHEALTHY_EJECTED) !== 0,
    onProbation: (bits & UNHEALTHY_PROBATION) !== 0,
    ejectedFor: OUTLIER_KINDS[results.get(ResultCount.REASON, slot) - 1],
    ejectedAtMs: results.time(ResultTime.EJECTED_AT, slot),
    ejectedUntilMs: results.time(ResultTime.EJECTED_UNTIL, slot),
    ejections: results.get(ResultCount.EJECTIONS, slot),
    consecutive5xx: results.get(ResultCount.CONSECUTIVE_5XX, slot),
    consecutiveGatewayFailures: results.get(ResultCount.CONSECUTIVE_GATEWAY, slot),
    consecutiveLocalOriginFailures: results.get(ResultCount.CONSECUTIVE_LOCAL, slot),
  };
}
