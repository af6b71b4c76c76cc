import type { MessageInitShape } from "@bufbuild/protobuf";
import { FileAccessLogSchema } from "@tulle/xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { RouterSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import {
  HttpConnectionManagerSchema,
  HttpConnectionManager_ForwardClientCertDetails as ForwardClientCert,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { ISTIO_ACCESS_LOG_FORMAT } from "../../src/telemetry/access-log-format.js";
import { pack } from "./message.js";
import { routeTo } from "./routes.js";

export function accessLog() {
  return {
    name: "envoy.access_loggers.file",
    configType: {
      case: "typedConfig" as const,
      value: pack(FileAccessLogSchema, {
        path: "/dev/stdout",
        accessLogFormat: {
          case: "logFormat",
          value: { format: { case: "textFormat", value: `${ISTIO_ACCESS_LOG_FORMAT}\n` } },
        },
      }),
    },
  };
}

export const ROUTER = {
  name: "envoy.filters.http.router",
  configType: { case: "typedConfig" as const, value: pack(RouterSchema, {}) },
};

export function httpFilter(cluster: string) {
  const retryPolicy = { retryOn: "reset-before-request", numRetries: 2 };
  const virtualHosts = [{ name: "inbound", domains: ["*"], routes: [routeTo(cluster, { retryPolicy })] }];
  return managerFilter({ case: "routeConfig", value: { name: "inbound", virtualHosts } });
}

export function managerFilter(
  routeSpecifier: MessageInitShape<typeof HttpConnectionManagerSchema>["routeSpecifier"],
) {
  const manager = pack(HttpConnectionManagerSchema, {
    statPrefix: "http",
    routeSpecifier: routeSpecifier ?? { case: undefined },
    httpFilters: [ROUTER],
    accessLog: [accessLog()],
    forwardClientCertDetails: ForwardClientCert.APPEND_FORWARD,
  });
  return { name: "http", configType: { case: "typedConfig" as const, value: manager } };
}

export function tcpFilter(cluster: string, init: object = {}) {
  const proxy = pack(TcpProxySchema, {
    clusterSpecifier: { case: "cluster", value: cluster },
    accessLog: [accessLog()],
    ...init,
  });
  return { name: "tcp", configType: { case: "typedConfig" as const, value: proxy } };
}
