import { lowerName, type HeaderList } from "@tulle/http";

/** What a log line may show of one exchange. Strings are "" and numbers -1 where there is nothing. */
export interface AccessLogEntry {
  /** Wall clock, milliseconds since the epoch. */
  readonly startTimeMs: number;
  readonly durationMs: number;
  readonly method: string;
  /** As received, with its query. */
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly protocol: string;
  readonly requestHeaders: HeaderList;
  /** As sent downstream. */
  readonly responseHeaders: HeaderList;
  /** 0 = no response was sent. */
  readonly responseCode: number;
  readonly responseFlags: string;
  readonly responseCodeDetails: string;
  readonly connectionTerminationDetails: string;
  readonly upstreamTransportFailureReason: string;
  /** Body bytes from the client. */
  readonly bytesReceived: number;
  /** Body bytes to the client. */
  readonly bytesSent: number;
  readonly attemptCount: number;
  readonly upstreamHost: string;
  readonly upstreamCluster: string;
  readonly upstreamLocalAddress: string;
  readonly downstreamLocalAddress: string;
  readonly downstreamRemoteAddress: string;
  readonly downstreamPeerUriSan: string;
  readonly requestedServerName: string;
  readonly routeName: string;
  readonly requestId: string;
}

/** Turns an exchange into one line, without a newline. */
export type AccessLogFormatter = (entry: AccessLogEntry) => string;

type Part = string | ((entry: AccessLogEntry) => string);

/** Istio's default format, as in `MeshConfig.accessLogFormat`. */
export const ISTIO_ACCESS_LOG_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  "%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% " +
  '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% ' +
  '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" ' +
  "%UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% " +
  "%REQUESTED_SERVER_NAME% %ROUTE_NAME%";

const OPERATORS: ReadonlyMap<string, (entry: AccessLogEntry) => string> = new Map<
  string,
  (entry: AccessLogEntry) => string
>([
  ["START_TIME", (e) => new Date(e.startTimeMs).toISOString()],
  ["PROTOCOL", (e) => e.protocol],
  ["RESPONSE_CODE", (e) => String(e.responseCode)],
  ["RESPONSE_FLAGS", (e) => e.responseFlags],
  ["RESPONSE_CODE_DETAILS", (e) => e.responseCodeDetails],
  ["CONNECTION_TERMINATION_DETAILS", (e) => e.connectionTerminationDetails],
  ["UPSTREAM_TRANSPORT_FAILURE_REASON", (e) => e.upstreamTransportFailureReason],
  ["BYTES_RECEIVED", (e) => String(e.bytesReceived)],
  ["BYTES_SENT", (e) => String(e.bytesSent)],
  ["DURATION", (e) => String(Math.round(e.durationMs))],
  ["UPSTREAM_REQUEST_ATTEMPT_COUNT", (e) => String(e.attemptCount)],
  ["UPSTREAM_HOST", (e) => e.upstreamHost],
  ["UPSTREAM_CLUSTER", (e) => e.upstreamCluster],
  ["UPSTREAM_CLUSTER_RAW", (e) => e.upstreamCluster],
  ["UPSTREAM_LOCAL_ADDRESS", (e) => e.upstreamLocalAddress],
  ["DOWNSTREAM_LOCAL_ADDRESS", (e) => e.downstreamLocalAddress],
  ["DOWNSTREAM_REMOTE_ADDRESS", (e) => e.downstreamRemoteAddress],
  ["DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", (e) => withoutPort(e.downstreamRemoteAddress)],
  ["DOWNSTREAM_PEER_URI_SAN", (e) => e.downstreamPeerUriSan],
  ["REQUESTED_SERVER_NAME", (e) => e.requestedServerName],
  ["ROUTE_NAME", (e) => e.routeName],
  ["STREAM_ID", (e) => e.requestId],
]);

const PSEUDO: ReadonlyMap<string, (entry: AccessLogEntry) => string> = new Map<
  string,
  (entry: AccessLogEntry) => string
>([
  [":method", (e) => e.method],
  [":path", (e) => e.path],
  [":authority", (e) => e.authority],
  [":scheme", (e) => e.scheme],
  // The proxy may have made it: then it is not among the fields received.
  ["x-request-id", (e) => e.requestId],
]);

/**
 * Compiles an access log format with Envoy's command operators
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage). An operator that is not
 * known prints `-`, as an empty value does. Control characters and quotes of values are escaped.
 */
export function compileAccessLogFormat(format: string): AccessLogFormatter {
  const parts: Part[] = [];
  const operator = /%([A-Z_]+)(?:\(([^)]*)\))?(?::(\d+))?%/g;
  let end = 0;
  for (const match of format.matchAll(operator)) {
    if (match.index > end) parts.push(format.slice(end, match.index));
    end = match.index + match[0].length;
    parts.push(compileOperator(match[1] ?? "", match[2], match[3]));
  }
  if (end < format.length) parts.push(format.slice(end));
  if (parts.length > 0 && format.endsWith("\n")) trimNewline(parts);
  return (entry) => {
    let line = "";
    for (const part of parts) line += typeof part === "string" ? part : part(entry);
    return line;
  };
}

function trimNewline(parts: Part[]): void {
  const last = parts.at(-1);
  if (typeof last === "string") parts[parts.length - 1] = last.replace(/\n$/, "");
}

function compileOperator(name: string, argument: string | undefined, length: string | undefined): Part {
  const maxLength = length === undefined ? Number.POSITIVE_INFINITY : Number(length);
  const read = reader(name, argument ?? "");
  if (read === undefined) return "-";
  return (entry) => {
    const value = read(entry);
    return value === "" ? "-" : escapeLogValue(value.length > maxLength ? value.slice(0, maxLength) : value);
  };
}

function reader(name: string, argument: string): ((entry: AccessLogEntry) => string) | undefined {
  switch (name) {
    case "REQ":
    case "REQ_WITHOUT_QUERY":
      return headerReader(argument, (entry) => entry.requestHeaders, name === "REQ_WITHOUT_QUERY");
    case "RESP":
      return headerReader(argument, (entry) => entry.responseHeaders, false);
    case "START_TIME":
      return argument === "%s" ? (e) => String(Math.floor(e.startTimeMs / 1000)) : OPERATORS.get(name);
    default:
      return OPERATORS.get(name);
  }
}

/** `X?Y`: the header X, or Y when there is no X. */
function headerReader(
  argument: string,
  headers: (entry: AccessLogEntry) => HeaderList,
  withoutQuery: boolean,
): (entry: AccessLogEntry) => string {
  const names = argument.toLowerCase().split("?").slice(0, 2);
  return (entry) => {
    for (const name of names) {
      const value = PSEUDO.get(name)?.(entry) ?? findHeader(headers(entry), name);
      if (value === "") continue;
      const query = withoutQuery ? value.indexOf("?") : -1;
      return query < 0 ? value : value.slice(0, query);
    }
    return "";
  };
}

function findHeader(headers: HeaderList, lower: string): string {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length === lower.length && (name === lower || lowerName(name) === lower)) {
      return headers[i + 1] as string;
    }
  }
  return "";
}

function withoutPort(address: string): string {
  const colon = address.lastIndexOf(":");
  return colon < 0 ? address : address.slice(0, colon);
}

// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const UNSAFE = /[\u0000-\u001f\u007f-\u009f"\\]/;
// oxlint-disable-next-line no-control-regex -- as above
const UNSAFE_ALL = /[\u0000-\u001f\u007f-\u009f"\\]/g;

/** A value that cannot end its line, its quotes or a terminal's state: hostile characters become `\xNN`, quotes `\"`. */
export function escapeLogValue(value: string): string {
  if (!UNSAFE.test(value)) return value;
  return value.replace(UNSAFE_ALL, (char) =>
    char === '"' || char === "\\" ? `\\${char}` : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
