import { create } from "@bufbuild/protobuf";
import { AccessLogSchema, type AccessLog } from "@tulle/xds/gen/envoy/config/accesslog/v3/accesslog_pb.js";
import { FileAccessLogSchema } from "@tulle/xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { packed } from "./messages.js";

/** Istio's default text format: https://istio.io/latest/docs/tasks/observability/logs/access-log/#default-access-log-format */
const DEFAULT_ACCESS_LOG_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% ' +
  '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ' +
  '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% ' +
  "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

/** One line per request, in Istio's format. Where lines go in the end is the proxy's own setting. */
export function accessLog(): AccessLog {
  return create(AccessLogSchema, {
    name: "envoy.access_loggers.file",
    configType: {
      case: "typedConfig",
      value: packed(FileAccessLogSchema, {
        path: "/dev/stdout",
        accessLogFormat: {
          case: "logFormat",
          value: {
            format: {
              case: "textFormatSource",
              value: { specifier: { case: "inlineString", value: DEFAULT_ACCESS_LOG_FORMAT } },
            },
          },
        },
      }),
    },
  });
}
