/** Ways in which an endpoint stands out, as Envoy's statistics name them. Their order is kept in the load table. */
export const OUTLIER_KINDS = [
  "consecutive_5xx",
  "consecutive_gateway_failure",
  "consecutive_local_origin_failure",
  "success_rate",
  "local_origin_success_rate",
  "failure_percentage",
  "local_origin_failure_percentage",
] as const;
export type OutlierKind = (typeof OUTLIER_KINDS)[number];

/** Bits for the kinds that requests find while they are carried: `1 << index`. */
export const SUSPECT_5XX = 1;
export const SUSPECT_GATEWAY = 2;
export const SUSPECT_LOCAL = 4;
export const SUSPECT_RATE = 32;
/** The request that was to decide about an endpoint on probation went well, or did not. */
export const PROBE_PASSED = 0x200;
export const PROBE_FAILED = 0x400;
/** The endpoint says of itself that it is not well (`x-envoy-immediate-health-check-fail`). */
export const SUSPECT_TOLD = 0x100;
