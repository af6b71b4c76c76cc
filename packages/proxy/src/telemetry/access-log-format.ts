import { splitFormat, type FormatPiece } from "@tulle/base";
import { operatorReader, type FormatSource } from "@tulle/engine";

/** What a log line may show of one exchange. */
export type AccessLogEntry = FormatSource;

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

/**
 * Compiles an access log format with Envoy's command operators
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage). An operator that is not
 * known prints `-`, as an empty value does. Control characters and quotes of values are escaped.
 */
export function compileAccessLogFormat(format: string): AccessLogFormatter {
  const parts = splitFormat(format).map((piece): Part =>
    typeof piece === "string" ? piece.replaceAll("%%", "%") : compileOperator(piece),
  );
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

function compileOperator({ name, argument, length }: Exclude<FormatPiece, string>): Part {
  const maxLength = length ?? Number.POSITIVE_INFINITY;
  const read = operatorReader(name, argument ?? "");
  if (read === undefined) return "-";
  return (entry) => {
    const value = read(entry);
    return value === "" ? "-" : escapeLogValue(value.length > maxLength ? value.slice(0, maxLength) : value);
  };
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
