import type { Any } from "@bufbuild/protobuf/wkt";
import type { PathNormalization } from "@tulle/http";
import { RouterSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import type {
  HttpConnectionManager,
  HttpFilter,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import {
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  HttpConnectionManagerSchema,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { compileLimits } from "./chain-limits.js";
import { compileRouteTable } from "../route/route-table.js";
import type { RouteTable } from "../route/route-table.js";
import { accessLogFormat } from "./access-log.js";
import { holds, typeName, unpack } from "./any.js";
import type { ChainSettings } from "./chain.js";
import { durationMs } from "./duration.js";
import { at, invalid } from "./invalid.js";

/** A compiled HttpConnectionManager. */
export interface HttpSettings {
  readonly chain: ChainSettings;
  /** Name of the RouteConfiguration to ask for, or the table itself. */
  readonly routes: { readonly rds: string } | { readonly table: RouteTable };
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
): HttpSettings {
  const manager = unpack(field, any, HttpConnectionManagerSchema);
  compileFilters(at(field, "http_filters"), manager.httpFilters);
  if (manager.stripMatchingHostPort)
    throw invalid(at(field, "strip_matching_host_port"), "is not supported: use strip_any_host_port");
  const idleTimeoutMs =
    durationMs(at(field, "stream_idle_timeout"), manager.streamIdleTimeout) ?? DEFAULT_IDLE_TIMEOUT_MS;
  return {
    chain: {
      name,
      direction,
      accessLogFormat: accessLogFormat(at(field, "access_log"), manager.accessLog),
      requestTimeoutMs: durationMs(at(field, "request_timeout"), manager.requestTimeout) ?? 0,
      maxDurationMs:
        durationMs(
          at(field, "common_http_protocol_options.max_stream_duration"),
          manager.commonHttpProtocolOptions?.maxStreamDuration,
        ) ?? 0,
      pathNormalization: pathNormalization(field, manager),
      limits: compileLimits(field, manager),
      steps: [],
      stripPort: manager.stripPortMode.case === "stripAnyHostPort" && manager.stripPortMode.value,
    },
    routes: compileRoutes(field, manager, idleTimeoutMs),
    idleTimeoutMs,
  };
}

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

/**
 * Filters that are taken and not carried out: without CORS headers browsers keep cross-origin pages out, without fault
 * injection nothing fails. Nothing is let through that they would have stopped.
 */
const INERT: ReadonlySet<string> = new Set([
  "envoy.extensions.filters.http.cors.v3.Cors",
  "envoy.extensions.filters.http.fault.v3.HTTPFault",
]);

/**
 * The router must come last. Others are refused unless they are optional, disabled or inert: what an authorization
 * filter guards would be open.
 */
function compileFilters(field: string, filters: readonly HttpFilter[]): void {
  const last = filters[filters.length - 1]?.configType;
  if (last?.case !== "typedConfig" || !holds(last.value, RouterSchema)) {
    throw invalid(field, `must end with a ${RouterSchema.typeName}`);
  }
  filters.slice(0, -1).forEach((filter, index) => {
    if (filter.isOptional || filter.disabled) return;
    const config = filter.configType;
    const type = config.case === "typedConfig" ? typeName(config.value) : "by config_discovery";
    if (INERT.has(type)) return;
    throw invalid(
      `${field}[${index}]`,
      `filter ${JSON.stringify(filter.name)} (${type}) is not supported and not optional`,
    );
  });
}
