import { getHeader, GrpcStatus, isGrpcContentType, trailersOnly, type HeaderList } from "@tulle/http";

/**
 * The short answer to a request that an overloaded proxy refuses: known before the request is, and written by the
 * connection itself. Nothing else is done for it, so that refusing saves what it is for: with HTTP/2 a refusal takes a
 * twentieth of an answer's time. Some are refused at length all the same, so that logs and records tell of it.
 */
export interface QuietRefusal {
  readonly status: number;
  /** Never altered: everybody's. */
  readonly headers: HeaderList;
}

const FIELD = "x-envoy-local-overloaded";

const HTTP: QuietRefusal = { status: 503, headers: ["content-length", "0", FIELD, "true"] };
const GRPC: QuietRefusal = {
  status: 200,
  headers: [...trailersOnly(GrpcStatus.UNAVAILABLE, "this sidecar is overloaded"), FIELD, "true"],
};

/** What a request with these fields is told. */
export function quietRefusal(headers: HeaderList): QuietRefusal {
  const type = getHeader(headers, "content-type");
  return type !== undefined && isGrpcContentType(type) ? GRPC : HTTP;
}

/** The same over HTTP/1.1, whose connection goes on. */
export const QUIET_HTTP1_RESPONSE = `HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n${FIELD}: true\r\n\r\n`;
