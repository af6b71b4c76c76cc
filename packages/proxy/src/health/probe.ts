/** What a probe of an endpoint came to. */
export type ProbeOutcome =
  | { readonly kind: "passed"; readonly degraded: boolean }
  /** It answered, and not well. `atOnce`: it is not asked a second time before that counts. */
  | { readonly kind: "failed"; readonly reason: string; readonly atOnce: boolean }
  /** There was no answer. */
  | { readonly kind: "unreachable"; readonly reason: string; readonly timedOut?: boolean };

/** An answer by which an endpoint says that it should be used last. */
export const DEGRADED_HEADER = "x-envoy-degraded";
/** An answer by which an endpoint says that it is not well, to a check or to any request. */
export const IMMEDIATE_FAIL_HEADER = "x-envoy-immediate-health-check-fail";
