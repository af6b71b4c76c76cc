import { create, type DescMessage } from "@bufbuild/protobuf";
import type { AppProtocol } from "@tulle/api";
import { FilterSchema, type Filter } from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import type { VirtualHost } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { CorsSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HTTPFaultSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { StatefulSessionSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.js";
import { LocalRateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import { GrpcWebSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/grpc_web/v3/grpc_web_pb.js";
import { RateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js";
import { RouterSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import {
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  HttpConnectionManagerSchema,
  HttpFilterSchema,
  type HttpConnectionManager,
  type HttpFilter,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { RouteExtAuthzSchema } from "@tulle/xds/gen/tulle/ext_authz/v1/route_ext_authz_pb.js";
import { ConnectionResetSchema } from "@tulle/xds/gen/tulle/fault/v1/connection_reset_pb.js";
import type { MeshSettings } from "./contract.js";
import { accessLog } from "./access-log.js";
import { durationOf } from "./duration.js";
import { packed } from "./messages.js";
import { isLocalLimit, type TranslatedRateLimit } from "./rate-limit-parts.js";
import { RESET_FILTER } from "./routes/annotated-faults.js";
import { CORS_FILTER } from "./routes/cors.js";
import { EXTERNAL_AUTH_FILTER } from "./routes/external-auth.js";
import { FAULT_FILTER } from "./routes/fault.js";
import { SESSION_FILTER } from "./routes/session.js";
import type { Translation } from "./translation.js";

const GRPC_WEB_FILTER = "envoy.filters.http.grpc_web";

/** What every HTTP connection manager of the mesh has in common. The caller adds its routes and filters. */
export function connectionManager(
  t: Translation,
  statPrefix: string,
  filters: HttpFilter[],
): HttpConnectionManager {
  return create(HttpConnectionManagerSchema, {
    statPrefix,
    httpFilters: filters,
    accessLog: t.settings.accessLog === false ? [] : [accessLog()],
    useRemoteAddress: false,
    ...pathNormalization(t.settings.pathNormalization ?? "BASE"),
    // Long polls and event streams are the application's business, as in Istio.
    streamIdleTimeout: durationOf(0),
    upgradeConfigs: [{ upgradeType: "websocket" }],
  });
}

/** A connection manager as the filter of a chain. */
export function httpFilter(manager: HttpConnectionManager): Filter {
  return create(FilterSchema, {
    name: "envoy.filters.network.http_connection_manager",
    configType: { case: "typedConfig", value: packed(HttpConnectionManagerSchema, manager) },
  });
}

/** How a connection manager brings paths into one form. */
export function pathNormalization(mode: NonNullable<MeshSettings["pathNormalization"]>): {
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly pathWithEscapedSlashesAction: EscapedSlashes;
} {
  const decode = mode === "DECODE_AND_MERGE_SLASHES";
  return {
    normalizePath: mode !== "NONE",
    mergeSlashes: decode || mode === "MERGE_SLASHES",
    pathWithEscapedSlashesAction: decode
      ? EscapedSlashes.UNESCAPE_AND_FORWARD
      : EscapedSlashes.KEEP_UNCHANGED,
  };
}

/**
 * The filters of outbound chains: what routes may configure, then the router. Without such configuration they do nothing,
 * so a client that does not know one may go without. `last`: others that come behind those.
 */
export function outboundFilters(last: readonly HttpFilter[] = []): HttpFilter[] {
  return [
    optional(CORS_FILTER, CorsSchema),
    optional(EXTERNAL_AUTH_FILTER, RouteExtAuthzSchema),
    faultFilter(),
    optional(RESET_FILTER, ConnectionResetSchema),
    optional(SESSION_FILTER, StatefulSessionSchema),
    ...last,
    routerFilter(),
  ];
}

/** The filter of a RateLimit; `config`: what it does where virtual hosts say nothing. */
export function rateLimitFilter(name: string, config: TranslatedRateLimit["filter"]): HttpFilter {
  const value = isLocalLimit(config) ? packed(LocalRateLimitSchema, config) : packed(RateLimitSchema, config);
  return create(HttpFilterSchema, { name, configType: { case: "typedConfig", value } });
}

/**
 * What makes gRPC of browsers' calls, on a port that is declared as `grpc-web`. Comes first, so that all other filters
 * answer what the client understands.
 */
export function grpcWebFilters(protocol: AppProtocol | undefined): HttpFilter[] {
  return protocol === "grpc-web" ? [filter(GRPC_WEB_FILTER, GrpcWebSchema)] : [];
}

/** The same in a chain for several ports: `takingGrpcWeb` says for which it counts. */
export function grpcWebFiltersByHost(ports: readonly { readonly protocol: AppProtocol }[]): HttpFilter[] {
  const filters = grpcWebFilters(ports.find(({ protocol }) => protocol === "grpc-web")?.protocol);
  for (const made of filters) made.disabled = true;
  return filters;
}

/** The virtual host of a port in such a chain. */
export function takingGrpcWeb(host: VirtualHost, protocol: AppProtocol): VirtualHost {
  if (protocol === "grpc-web") host.typedPerFilterConfig[GRPC_WEB_FILTER] = packed(GrpcWebSchema);
  return host;
}

/** The fault filter, for clients that take nothing else. */
export function faultFilter(): HttpFilter {
  return optional(FAULT_FILTER, HTTPFaultSchema);
}

/** The terminal filter. */
export function routerFilter(): HttpFilter {
  return filter("envoy.filters.http.router", RouterSchema);
}

function optional(name: string, schema: DescMessage): HttpFilter {
  const made = filter(name, schema);
  made.isOptional = true;
  return made;
}

function filter(name: string, schema: DescMessage): HttpFilter {
  return create(HttpFilterSchema, {
    name,
    configType: { case: "typedConfig", value: packed(schema) },
  });
}
