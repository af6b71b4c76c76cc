import type { Any } from "@bufbuild/protobuf/wkt";
import type { PathNormalization } from "@tulle/http";
import type { HttpConnectionManager } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import {
  HttpConnectionManager_ForwardClientCertDetails as ForwardDetails,
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  HttpConnectionManagerSchema,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { compileChainFilters } from "../admit/chain-filters.js";
import { compileLimits } from "./chain-limits.js";
import { compileRouteTable } from "../route/route-table.js";
import type { RouteTable } from "../route/route-table.js";
import { accessLogFormat } from "./access-log.js";
import { unpack } from "./any.js";
import type { ChainSettings } from "./chain.js";
import type { ClientCertForwarding } from "./contract.js";
import { compileProxyStatus } from "./proxy-status-settings.js";
import { durationMs } from "./duration.js";
import { at, invalid } from "./invalid.js";

/** A compiled HttpConnectionManager. */
export interface HttpSettings {
  readonly chain: ChainSettings;
  /** Name of the RouteConfiguration to ask for, or the table itself. */
  readonly routes: { readonly rds: string } | { readonly table: RouteTable };
  /** Clusters of services that its filters ask. */
  readonly askedClusters: readonly string[];
  /** Idle timeout of routes that set none. */
  readonly idleTimeoutMs: number;
}

/** Envoy's default of `stream_idle_timeout`: five minutes. */
export const DEFAULT_IDLE_TIMEOUT_MS = 300_000;

/** Compiles the HttpConnectionManager in `any` for the listener `name`. */
export function compileHttp(
  field: string,
  any: Any | undefined,
  name: string,
  direction: "inbound" | "outbound",
  bufferBytes?: number,
): HttpSettings {
  const manager = unpack(field, any, HttpConnectionManagerSchema);
  if (manager.stripMatchingHostPort)
    throw invalid(at(field, "strip_matching_host_port"), "is not supported: use strip_any_host_port");
  const idleTimeoutMs =
    durationMs(at(field, "stream_idle_timeout"), manager.streamIdleTimeout) ?? DEFAULT_IDLE_TIMEOUT_MS;
  const routes = compileRoutes(field, manager, idleTimeoutMs);
  const filters = compileChainFilters(at(field, "http_filters"), manager.httpFilters, name);
  return {
    chain: {
      name,
      routeConfiguration: "rds" in routes ? routes.rds : "",
      direction,
      accessLogFormat: accessLogFormat(at(field, "access_log"), manager.accessLog),
      requestTimeoutMs: durationMs(at(field, "request_timeout"), manager.requestTimeout) ?? 0,
      maxDurationMs:
        durationMs(
          at(field, "common_http_protocol_options.max_stream_duration"),
          manager.commonHttpProtocolOptions?.maxStreamDuration,
        ) ?? 0,
      pathNormalization: pathNormalization(field, manager),
      limits: compileLimits(field, manager, bufferBytes),
      proxyStatus: compileProxyStatus(manager),
      requestIdInResponse: manager.alwaysSetRequestIdInResponse,
      edge: manager.useRemoteAddress === true ? { trustedHops: manager.xffNumTrustedHops } : undefined,
      clientCert: CLIENT_CERT.get(manager.forwardClientCertDetails) ?? "none",
      filters,
      stripPort: manager.stripPortMode.case === "stripAnyHostPort" && manager.stripPortMode.value,
    },
    routes,
    askedClusters: filters.flatMap(({ own }) => own?.clusters ?? []),
    idleTimeoutMs,
  };
}

const CLIENT_CERT: ReadonlyMap<ForwardDetails, ClientCertForwarding> = new Map([
  [ForwardDetails.SANITIZE_SET, "own"],
  [ForwardDetails.APPEND_FORWARD, "append"],
  [ForwardDetails.FORWARD_ONLY, "forward"],
  [ForwardDetails.ALWAYS_FORWARD_ONLY, "always-forward"],
]);

/** Envoy's three settings, as far as they are one of Istio's modes. */
function pathNormalization(field: string, manager: HttpConnectionManager): PathNormalization {
  const { normalizePath = false, mergeSlashes, pathWithEscapedSlashesAction: escaped } = manager;
  const unescape = escaped === EscapedSlashes.UNESCAPE_AND_FORWARD;
  const keep =
    escaped === EscapedSlashes.IMPLEMENTATION_SPECIFIC_DEFAULT || escaped === EscapedSlashes.KEEP_UNCHANGED;
  if (!unescape && !keep) {
    throw invalid(
      at(field, "path_with_escaped_slashes_action"),
      "must be KEEP_UNCHANGED or UNESCAPE_AND_FORWARD",
    );
  }
  if (!normalizePath && !mergeSlashes && !unescape) return "NONE";
  if (!normalizePath || (unescape && !mergeSlashes)) {
    throw invalid(at(field, "normalize_path"), "is supported alone, with merge_slashes, or with both others");
  }
  if (unescape) return "DECODE_AND_MERGE_SLASHES";
  return mergeSlashes ? "MERGE_SLASHES" : "BASE";
}

function compileRoutes(
  field: string,
  manager: HttpConnectionManager,
  idleTimeoutMs: number,
): HttpSettings["routes"] {
  const specifier = manager.routeSpecifier;
  switch (specifier.case) {
    case "rds":
      if (specifier.value.routeConfigName === "")
        throw invalid(at(field, "rds.route_config_name"), "must not be empty");
      return { rds: specifier.value.routeConfigName };
    case "routeConfig":
      return { table: compileRouteTable(at(field, "route_config"), specifier.value, idleTimeoutMs) };
    case "scopedRoutes":
      throw invalid(at(field, "scoped_routes"), "is not supported: use rds or route_config");
    case undefined:
      throw invalid(field, "must set one of rds, route_config");
  }
}
