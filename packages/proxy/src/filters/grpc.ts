import { getHeader, type HeaderList } from "@tulle/http";

/** gRPC status codes that a proxy gives (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md). */
export const GrpcStatus = {
  UNKNOWN: 2,
  DEADLINE_EXCEEDED: 4,
  PERMISSION_DENIED: 7,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

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

/** The head of a response that is all trailers: how gRPC callers are told that there will be no answer. */
export function trailersOnly(status: number, message: string): HeaderList {
  return ["content-type", "application/grpc", ...grpcStatusFields(status, message)];
}

/** What a gRPC call ends with. */
export function grpcStatusFields(status: number, message: string): HeaderList {
  return ["grpc-status", String(status), "grpc-message", encodeGrpcMessage(message)];
}

/** Percent-encodes what gRPC's `grpc-message` cannot have as it is: all but visible ASCII and the blank, and `%`. */
function encodeGrpcMessage(message: string): string {
  let out = "";
  for (const byte of Buffer.from(message)) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x25;
    out += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

/** Whether `te` says that its sender takes trailers: gRPC servers insist on it. */
export function takesTrailers(name: string, value: string): boolean {
  return name === "te" && value.toLowerCase() === "trailers";
}
