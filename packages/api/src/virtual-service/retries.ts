import { z } from "zod";
import { positiveDuration } from "../schema/durations.js";
import { int32 } from "../schema/numbers.js";
import { stringThat } from "../schema/strings.js";
import { struct, type Rule } from "../schema/struct.js";

/** Envoy's conditions for HTTP and gRPC retries. */
export const RETRY_CONDITIONS: ReadonlySet<string> = new Set([
  "5xx",
  "gateway-error",
  "reset",
  "reset-before-request",
  "connect-failure",
  "envoy-ratelimited",
  "retriable-4xx",
  "refused-stream",
  "retriable-status-codes",
  "retriable-headers",
  "http3-post-connect-failure",
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
]);

function isRetryOn(value: string): boolean {
  if (value === "") return true;
  if (value.length > 1024) return false;
  return value.split(",").every((part) => {
    const condition = part.trim();
    return RETRY_CONDITIONS.has(condition) || /^[1-5]\d\d$/.test(condition);
  });
}

/** With `attempts: 0` retries are off: any other setting beside it is a mistake. */
const offMeansOff: Rule = (fields, report) => {
  if (fields["attempts"] !== 0) return;
  for (const name of ["perTryTimeout", "retryOn", "backoff"]) {
    if (fields[name] !== undefined) report([name], "has no effect, because attempts: 0 turns retries off");
  }
};

export const retries = struct(
  {
    attempts: int32.exactOptional(),
    perTryTimeout: positiveDuration.exactOptional(),
    retryOn: stringThat(
      isRetryOn,
      'conditions separated by commas, such as "5xx,connect-failure", or status codes',
    ).exactOptional(),
    retryRemoteLocalities: z.boolean().exactOptional(),
    retryIgnorePreviousHosts: z.boolean().exactOptional(),
    backoff: positiveDuration.exactOptional(),
  },
  offMeansOff,
);
