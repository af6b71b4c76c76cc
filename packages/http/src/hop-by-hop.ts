import { equalsIgnoringCase } from "./characters.js";
import { lowerName } from "./field-names.js";
import { splitList } from "./headers.js";

/**
 * Fields that belong to one connection and are not forwarded (RFC 9110 section 7.6.1). `te` is among them, `trailer`
 * is not: trailers are forwarded. `transfer-encoding` and `content-length` are framing: the encoder's caller sets them.
 */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "proxy-authenticate",
  "proxy-authorization",
]);

/**
 * Fields that `Connection` may name without taking them away: framing, routing, and what security decisions stand
 * on. Otherwise a client could strip what a proxy before us added (CVE-2024-45410).
 */
const NEVER_REMOVED_BY_CONNECTION: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "content-type",
  "content-encoding",
  "authorization",
  "cookie",
  "set-cookie",
  "cache-control",
  "date",
  "expect",
  "trailer",
  "forwarded",
  "traceparent",
  "tracestate",
  "baggage",
]);

/** Fields that mean nothing, or harm, after the body (RFC 9110 section 6.5.1): framing, routing, authentication. */
const FORBIDDEN_IN_TRAILERS: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  "content-length",
  "content-type",
  "content-encoding",
  "content-range",
  "host",
  "trailer",
  "authorization",
  "cookie",
  "set-cookie",
  "expect",
  "max-forwards",
  "cache-control",
  "range",
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
  "age",
  "date",
  "expires",
  "location",
  "retry-after",
  "vary",
  "warning",
  "forwarded",
]);

/** Whether the field `name` (lower-case) is never forwarded. */
export function isHopByHop(name: string): boolean {
  return HOP_BY_HOP.has(name);
}

/** Whether the field `name` (lower-case) must not act, and is dropped, when it comes as a trailer. */
export function isForbiddenInTrailers(name: string): boolean {
  return FORBIDDEN_IN_TRAILERS.has(name) || name.startsWith("x-forwarded-") || name.startsWith("x-envoy-");
}

const NO_OPTIONS: readonly string[] = [];

/**
 * Names that a `Connection` field of this value declares hop-by-hop beyond the fixed table, lower-case. Names that a
 * client may not take away are left out: `x-forwarded-*`, `x-envoy-*`, `x-request-id`, `host`, `authorization` and the like.
 */
export function connectionOptions(list: string): readonly string[] {
  // Nearly always the one or the other: no list to take apart.
  if (equalsIgnoringCase(list, "keep-alive") || equalsIgnoringCase(list, "close")) return NO_OPTIONS;
  return splitList(list)
    .map(lowerName)
    .filter((name) => name !== "close" && !HOP_BY_HOP.has(name) && !isProtected(name));
}

function isProtected(name: string): boolean {
  return (
    NEVER_REMOVED_BY_CONNECTION.has(name) ||
    name.startsWith("x-forwarded-") ||
    name.startsWith("x-envoy-") ||
    name === "x-request-id" ||
    name === "x-real-ip"
  );
}
