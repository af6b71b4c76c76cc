import type { ErrorKind } from "@tulle/base";

import type { HeaderList } from "./contract.js";
import { getHeader } from "./headers.js";
import { Http2ErrorCode } from "./http2/error-codes.js";

/** gRPC's status codes (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md). */
export const GrpcStatus = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

const NAMES: readonly string[] = Object.keys(GrpcStatus);

/** Name of a status code as gRPC spells it; the number of an unknown one. */
export function grpcStatusName(status: number): string {
  return NAMES[status] ?? String(status);
}

/** No status is known. */
export const NO_GRPC_STATUS = -1;

const BY_HTTP_STATUS: ReadonlyMap<number, number> = new Map([
  [400, GrpcStatus.INTERNAL],
  [401, GrpcStatus.UNAUTHENTICATED],
  [403, GrpcStatus.PERMISSION_DENIED],
  [404, GrpcStatus.UNIMPLEMENTED],
  [429, GrpcStatus.UNAVAILABLE],
  [502, GrpcStatus.UNAVAILABLE],
  [503, GrpcStatus.UNAVAILABLE],
  [504, GrpcStatus.UNAVAILABLE],
]);

/** What a gRPC caller is told for an HTTP status (gRPC's http-grpc-status-mapping). */
export function grpcStatusOf(httpStatus: number): number {
  return BY_HTTP_STATUS.get(httpStatus) ?? GrpcStatus.UNKNOWN;
}

const TO_HTTP_STATUS: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

/** What the end of a call would be in HTTP (Envoy's table, the way back of Google's API errors). */
export function httpStatusOfGrpc(status: number): number {
  return TO_HTTP_STATUS[status] ?? 500;
}

/** Whether a request with this content type is gRPC: `application/grpc`, or it with `+proto` and the like. */
export function isGrpcContentType(value: string): boolean {
  if (!value.startsWith("application/grpc")) return false;
  const next = value.charCodeAt(16);
  return value.length === 16 || next === PLUS || next === SEMICOLON;
}

const PLUS = 0x2b;
const SEMICOLON = 0x3b;

/** Status in a head (trailers-only) or in trailers; `NO_GRPC_STATUS` without one, UNKNOWN for one that gRPC has not. */
export function readGrpcStatus(headers: HeaderList): number {
  const value = getHeader(headers, "grpc-status");
  if (value === undefined) return NO_GRPC_STATUS;
  return /^(?:\d|1[0-6])$/.test(value) ? Number(value) : GrpcStatus.UNKNOWN;
}

/** What a call's end means that the peer announced by RST_STREAM (gRPC over HTTP/2, section "Errors"). */
export function grpcStatusOfReset(http2Error: number): number {
  switch (http2Error) {
    case Http2ErrorCode.REFUSED_STREAM:
      return GrpcStatus.UNAVAILABLE;
    case Http2ErrorCode.CANCEL:
      return GrpcStatus.CANCELLED;
    case Http2ErrorCode.ENHANCE_YOUR_CALM:
      return GrpcStatus.RESOURCE_EXHAUSTED;
    case Http2ErrorCode.INADEQUATE_SECURITY:
      return GrpcStatus.PERMISSION_DENIED;
    default:
      return GrpcStatus.INTERNAL;
  }
}

const KINDS: ReadonlyMap<number, ErrorKind> = new Map([
  [GrpcStatus.CANCELLED, "canceled"],
  [GrpcStatus.INVALID_ARGUMENT, "invalid"],
  [GrpcStatus.DEADLINE_EXCEEDED, "timeout"],
  [GrpcStatus.NOT_FOUND, "not-found"],
  [GrpcStatus.ALREADY_EXISTS, "already-exists"],
  [GrpcStatus.PERMISSION_DENIED, "denied"],
  [GrpcStatus.RESOURCE_EXHAUSTED, "exhausted"],
  [GrpcStatus.ABORTED, "conflict"],
  [GrpcStatus.UNIMPLEMENTED, "unimplemented"],
  [GrpcStatus.UNAVAILABLE, "unavailable"],
  [GrpcStatus.UNAUTHENTICATED, "unauthenticated"],
] as const);

const BY_KIND: Readonly<Record<ErrorKind, number>> = {
  invalid: GrpcStatus.INVALID_ARGUMENT,
  "not-found": GrpcStatus.NOT_FOUND,
  "already-exists": GrpcStatus.ALREADY_EXISTS,
  conflict: GrpcStatus.ABORTED,
  unavailable: GrpcStatus.UNAVAILABLE,
  timeout: GrpcStatus.DEADLINE_EXCEEDED,
  canceled: GrpcStatus.CANCELLED,
  exhausted: GrpcStatus.RESOURCE_EXHAUSTED,
  denied: GrpcStatus.PERMISSION_DENIED,
  unauthenticated: GrpcStatus.UNAUTHENTICATED,
  unimplemented: GrpcStatus.UNIMPLEMENTED,
  internal: GrpcStatus.INTERNAL,
};

/** The status that a failure of a kind ends a call with. */
export function grpcStatusOfKind(kind: ErrorKind): number {
  return BY_KIND[kind];
}

/** What a status that is not OK means to the caller; `internal` for those without a kind of their own. */
export function errorKindOfGrpc(status: number): ErrorKind {
  return KINDS.get(status) ?? "internal";
}

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ["H", 3_600_000],
  ["M", 60_000],
  ["S", 1000],
  ["m", 1],
  ["u", 1e-3],
  ["n", 1e-6],
]);

/** Milliseconds of a `grpc-timeout` (at most eight digits and a unit), at least 1; 0 for none or a malformed one. */
export function parseGrpcTimeout(value: string): number {
  const match = /^(\d{1,8})([HMSmun])$/.exec(value);
  if (match === null) return 0;
  const ms = Number(match[1]) * (UNIT_MS.get(match[2] as string) ?? 0);
  return Math.max(1, Math.ceil(ms));
}

const MAX_TIMEOUT_VALUE = 99_999_999;

/** Writes a `grpc-timeout`: milliseconds, or seconds where eight digits would not do. */
export function formatGrpcTimeout(timeoutMs: number): string {
  const ms = Math.max(1, Math.ceil(timeoutMs));
  if (ms <= MAX_TIMEOUT_VALUE) return `${ms}m`;
  return `${Math.min(MAX_TIMEOUT_VALUE, Math.ceil(ms / 1000))}S`;
}

/** The head of a response that is all trailers: how gRPC callers are told that there will be no answer. */
export function trailersOnly(status: number, message: string): HeaderList {
  return ["content-type", "application/grpc", ...grpcStatusFields(status, message)];
}

/** What a gRPC call ends with. */
export function grpcStatusFields(status: number, message: string): HeaderList {
  return ["grpc-status", String(status), "grpc-message", encodeText(message)];
}

/** Percent-encodes what gRPC's `grpc-message` cannot have as it is: all but visible ASCII and the blank, and `%`. */
function encodeText(message: string): string {
  let out = "";
  for (const byte of Buffer.from(message)) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x25;
    out += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

/** The text of a `grpc-message`, "" without one. Broken escapes are left as they are, as gRPC asks. */
export function readGrpcMessage(headers: HeaderList): string {
  const text = getHeader(headers, "grpc-message") ?? "";
  if (!text.includes("%")) return text;
  const bytes = Buffer.from(text, "latin1");
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const escape = bytes[at] === PERCENT ? /^[0-9a-f]{2}$/i.exec(text.slice(at + 1, at + 3)) : null;
    bytes[length++] = escape === null ? bytes[at]! : Number.parseInt(escape[0], 16);
    if (escape !== null) at += 2;
  }
  return bytes.toString("utf8", 0, length);
}

const PERCENT = 0x25;

/** Whether `te` says that its sender takes trailers: gRPC servers insist on it. */
export function takesTrailers(value: string): boolean {
  return value.toLowerCase() === "trailers";
}
