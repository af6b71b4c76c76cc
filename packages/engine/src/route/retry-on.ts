import { invalid } from "../snapshot/invalid.js";

/** Bits of `RetryPlan.on`: Envoy's `retry_on` words. */
export const RETRY_ON_5XX = 1 << 0;
export const RETRY_ON_GATEWAY_ERROR = 1 << 1;
export const RETRY_ON_RESET = 1 << 2;
export const RETRY_ON_RESET_BEFORE_REQUEST = 1 << 3;
export const RETRY_ON_CONNECT_FAILURE = 1 << 4;
export const RETRY_ON_REFUSED_STREAM = 1 << 5;
export const RETRY_ON_RETRIABLE_4XX = 1 << 6;
export const RETRY_ON_RETRIABLE_STATUS_CODES = 1 << 7;
export const RETRY_ON_CANCELLED = 1 << 8;
export const RETRY_ON_DEADLINE_EXCEEDED = 1 << 9;
export const RETRY_ON_INTERNAL = 1 << 10;
export const RETRY_ON_RESOURCE_EXHAUSTED = 1 << 11;
export const RETRY_ON_UNAVAILABLE = 1 << 12;
export const RETRY_ON_ENVOY_RATELIMITED = 1 << 13;
export const RETRY_ON_RETRIABLE_HEADERS = 1 << 14;
/** Accepted, and never holds: nothing here speaks HTTP/3. */
export const RETRY_ON_HTTP3_POST_CONNECT_FAILURE = 1 << 15;

/** The words that are about the status of a gRPC call. */
export const RETRY_ON_GRPC =
  RETRY_ON_CANCELLED |
  RETRY_ON_DEADLINE_EXCEEDED |
  RETRY_ON_INTERNAL |
  RETRY_ON_RESOURCE_EXHAUSTED |
  RETRY_ON_UNAVAILABLE;

/**
 * Conditions that name one answer of the service. Who writes one of them says that a request with this answer was not
 * carried out, whatever its method: it may be repeated.
 */
export const RETRY_ON_NAMED_ANSWER =
  RETRY_ON_RETRIABLE_4XX |
  RETRY_ON_RETRIABLE_STATUS_CODES |
  RETRY_ON_RETRIABLE_HEADERS |
  RETRY_ON_ENVOY_RATELIMITED;

const WORDS: ReadonlyMap<string, number> = new Map([
  ["5xx", RETRY_ON_5XX],
  ["gateway-error", RETRY_ON_GATEWAY_ERROR],
  ["reset", RETRY_ON_RESET],
  ["reset-before-request", RETRY_ON_RESET_BEFORE_REQUEST],
  ["connect-failure", RETRY_ON_CONNECT_FAILURE],
  ["refused-stream", RETRY_ON_REFUSED_STREAM],
  ["retriable-4xx", RETRY_ON_RETRIABLE_4XX],
  ["retriable-status-codes", RETRY_ON_RETRIABLE_STATUS_CODES],
  ["cancelled", RETRY_ON_CANCELLED],
  ["deadline-exceeded", RETRY_ON_DEADLINE_EXCEEDED],
  ["internal", RETRY_ON_INTERNAL],
  ["resource-exhausted", RETRY_ON_RESOURCE_EXHAUSTED],
  ["unavailable", RETRY_ON_UNAVAILABLE],
  ["envoy-ratelimited", RETRY_ON_ENVOY_RATELIMITED],
  ["retriable-headers", RETRY_ON_RETRIABLE_HEADERS],
  ["http3-post-connect-failure", RETRY_ON_HTTP3_POST_CONNECT_FAILURE],
]);

/** The words whose bits are set, for people. */
export function retryWords(on: number): readonly string[] {
  return [...WORDS].filter(([, bit]) => (on & bit) !== 0).map(([word]) => word);
}

export interface RetryConditions {
  /** Bit set of `RETRY_ON_*`. */
  readonly on: number;
  /** Status codes that stood among the words (Istio's `retryOn: 503`). */
  readonly statusCodes: readonly number[];
}

/** Parses `retry_on`: words and status codes, separated by commas. */
export function parseRetryOn(field: string, text: string): RetryConditions {
  let on = 0;
  const statusCodes: number[] = [];
  for (const written of text.split(",")) {
    const word = written.trim();
    if (word === "") continue;
    const bit = WORDS.get(word);
    if (bit !== undefined) {
      on |= bit;
    } else if (/^[1-5]\d\d$/.test(word)) {
      on |= RETRY_ON_RETRIABLE_STATUS_CODES;
      statusCodes.push(Number(word));
    } else {
      throw invalid(
        field,
        `${JSON.stringify(word)} is not a retry condition: use ${[...WORDS.keys()].join(", ")} or a status code`,
      );
    }
  }
  return { on, statusCodes };
}

/** The words and codes of `on` and `statusCodes`, for people. */
export function retryOnText(on: number, statusCodes: readonly number[]): string {
  return [...retryWords(on), ...statusCodes].join(",");
}

/** As `parseRetryOn`, for a header that a caller sent: what it does not know is left out, as Envoy does. */
export function readRetryOn(text: string): number {
  let on = 0;
  for (const word of text.split(",")) on |= WORDS.get(word.trim()) ?? 0;
  return on;
}
