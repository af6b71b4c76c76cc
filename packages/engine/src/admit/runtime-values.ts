import type { RuntimeFeatureFlag } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type { HttpStatus } from "@tulle/xds/gen/envoy/type/v3/http_status_pb.js";
import { invalid } from "../snapshot/invalid.js";

const SERVICE_UNAVAILABLE = 503;

/** A filter is on unless its flag says otherwise. There is no runtime layer: the default value counts. */
export function isEnabled(flag: RuntimeFeatureFlag | undefined): boolean {
  return flag?.defaultValue ?? true;
}

/** A percentage as a number from 0 to 1. */
export function shareOf(field: string, percent: number | undefined, standard: number): number {
  const value = percent ?? standard;
  if (!(value >= 0 && value <= 100)) throw invalid(field, "must be between 0 and 100");
  return value / 100;
}

/** What a refused request gets: 503 unless an error is named. */
export function refusalStatus(status: HttpStatus | undefined): number {
  const code: number = status?.code ?? SERVICE_UNAVAILABLE;
  return code < 400 ? SERVICE_UNAVAILABLE : code;
}
