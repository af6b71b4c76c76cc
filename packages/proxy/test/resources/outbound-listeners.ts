import { type MessageInitShape, create } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import type { ResourceChange } from "@tulle/engine";
import { LISTENER_TYPE } from "@tulle/xds";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { HttpConnectionManagerSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { ROUTER, accessLog, managerFilter, tcpFilter } from "./filters.js";
import { SILENCE } from "./inbound-listeners.js";
import { ADS, pack, resource } from "./message.js";

/** An API listener whose routes come by RDS under `routes`; paths are normalised as Istio does by default. */
export function apiListener(
  name: string,
  routes: string,
  settings: MessageInitShape<typeof HttpConnectionManagerSchema> = {},
): ResourceChange {
  const manager = pack(HttpConnectionManagerSchema, {
    statPrefix: "outbound",
    normalizePath: true,
    routeSpecifier: { case: "rds", value: { routeConfigName: routes, configSource: ADS } },
    httpFilters: [ROUTER],
    accessLog: [accessLog()],
    ...settings,
  } as MessageInitShape<typeof HttpConnectionManagerSchema>);
  return resource(
    LISTENER_TYPE,
    name,
    ListenerSchema,
    create(ListenerSchema, { name, apiListener: { apiListener: manager } }),
  );
}

/** The listener of an authority whose bytes go to `cluster`. */
export function tcpListener(
  name: string,
  cluster: string,
  init: {
    readonly maxConnectAttempts?: number;
    readonly idleTimeout?: Duration;
    readonly tunnelingConfig?: { readonly hostname: string };
  } = {},
): ResourceChange {
  const message = create(ListenerSchema, {
    name,
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [{ filters: [tcpFilter(cluster, init)] }],
  });
  return resource(LISTENER_TYPE, name, ListenerSchema, message);
}

export interface DetectedOptions {
  /** What carries everything but HTTP. */
  readonly cluster: string;
  /** Name of the routes for HTTP; undefined = HTTP is carried like everything else. */
  readonly routes?: string;
  /** Clusters for TLS, by the server name that it asks for. */
  readonly tls?: Readonly<Record<string, string>>;
}

/** The listener of an authority whose connections are told apart by their first bytes. */
export function detectedListener(
  name: string,
  { cluster, routes, tls = {} }: DetectedOptions,
): ResourceChange {
  const http = {
    name: "http",
    filterChainMatch: { transportProtocol: "raw_buffer", applicationProtocols: ["http/1.1", "h2c"] },
    filters: [managerFilter({ case: "rds", value: { routeConfigName: routes ?? "", configSource: ADS } })],
  };
  const byName = Object.entries(tls).map(([serverName, target]) => ({
    name: serverName,
    filterChainMatch: { transportProtocol: "tls", serverNames: [serverName] },
    filters: [tcpFilter(target)],
  }));
  const message = create(ListenerSchema, {
    name,
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [...(routes === undefined ? [] : [http]), ...byName],
    defaultFilterChain: { filters: [tcpFilter(cluster)] },
    listenerFiltersTimeout: SILENCE,
  });
  return resource(LISTENER_TYPE, name, ListenerSchema, message);
}
