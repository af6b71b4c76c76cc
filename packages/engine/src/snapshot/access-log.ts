import type { AccessLog } from "@tulle/xds/gen/envoy/config/accesslog/v3/accesslog_pb.js";
import { FileAccessLogSchema } from "@tulle/xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.js";
import type { FileAccessLog } from "@tulle/xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { holds, unpack } from "./any.js";

/** Envoy's format when a file access log names none. */
const DEFAULT_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% " +
  '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

/** The format of the first file access log, or undefined when there is none. Other kinds of log are not written. */
export function accessLogFormat(field: string, logs: readonly AccessLog[]): string | undefined {
  for (const [index, log] of logs.entries()) {
    const config = log.configType.value;
    if (config !== undefined && holds(config, FileAccessLogSchema)) {
      return formatOf(unpack(`${field}[${index}].typed_config`, config, FileAccessLogSchema));
    }
  }
  return undefined;
}

function formatOf(log: FileAccessLog): string {
  const format = log.accessLogFormat;
  switch (format.case) {
    case "format":
      return format.value === "" ? DEFAULT_FORMAT : format.value;
    case "jsonFormat":
    case "typedJsonFormat":
      return `${JSON.stringify(format.value)}\n`;
    case "logFormat": {
      const inner = format.value.format;
      if (inner.case === "textFormat" && inner.value !== "") return inner.value;
      if (inner.case === "jsonFormat") return `${JSON.stringify(inner.value)}\n`;
      if (inner.case === "textFormatSource" && inner.value.specifier.case === "inlineString")
        return inner.value.specifier.value;
      return DEFAULT_FORMAT;
    }
    case undefined:
      return DEFAULT_FORMAT;
  }
}
