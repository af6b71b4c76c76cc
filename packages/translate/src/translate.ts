import {
  CLUSTER_TYPE,
  ENDPOINT_TYPE,
  LISTENER_TYPE,
  NAME_TABLE_TYPE,
  ROUTE_TYPE,
  RUNTIME_TYPE,
  SECRET_TYPE,
} from "@tulle/xds";
import { ClusterSchema, type Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import {
  ClusterLoadAssignmentSchema,
  type ClusterLoadAssignment,
} from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema, type Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { SecretSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { NameTableSchema } from "@tulle/xds/gen/istio/networking/nds/v1/nds_pb.js";
import { RuntimeSchema } from "@tulle/xds/gen/envoy/service/runtime/v3/rtds_pb.js";
import { outboundCluster } from "./clusters.js";
import type { Dialect, Translate, Translated, Untranslated } from "./contract.js";
import type { DialectRules } from "./dialects/dialect.js";
import { grpcDialect } from "./dialects/grpc.js";
import { tulleDialect } from "./dialects/tulle.js";
import { outboundEndpoints } from "./endpoints.js";
import { failoverCluster } from "./failover.js";
import { gatewayListener, gatewayRoutes, passedCluster, passedEndpoints } from "./gateway/index.js";
import { inboundCluster } from "./inbound-cluster.js";
import { inboundListener } from "./inbound-listener.js";
import { outboundListener } from "./listeners.js";
import { NAME_TABLE, nameTable } from "./name-table.js";
import { INBOUND_LISTENER, parseClusterName, parsePassedName } from "./names.js";
import { routeConfiguration } from "./routes/route-configuration.js";
import { INBOUND_PASSTHROUGH, inboundPassthrough } from "./redirected-inbound.js";
import { RUNTIME_LAYER, runtimeLayer } from "./runtime.js";
import { credential } from "./secrets.js";
import { Translation } from "./translation.js";
import {
  PASSTHROUGH,
  passthroughCluster,
  VIRTUAL_OUTBOUND,
  VIRTUAL_OUTBOUND_HTTP,
  virtualOutbound,
  virtualOutboundHttp,
} from "./virtual-outbound.js";

const DIALECTS: Readonly<Record<Dialect, DialectRules>> = { tulle: tulleDialect, grpc: grpcDialect };

/** Makes one resource of one type for one view. See {@link Translate}. */
export const translate: Translate = (reader, view, typeUrl, name) => {
  const t = new Translation(reader, view);
  const dialect = DIALECTS[view.dialect];
  switch (typeUrl) {
    case LISTENER_TYPE:
      return listener(t, dialect, name);
    case ROUTE_TYPE:
      return routes(t, dialect, name);
    case CLUSTER_TYPE:
      return cluster(t, dialect, name);
    case ENDPOINT_TYPE:
      return endpoints(t, dialect, name);
    case NAME_TABLE_TYPE:
      return names(t, name);
    case RUNTIME_TYPE:
      return runtime(t, name);
    case SECRET_TYPE:
      return secret(t, name);
    default:
      return t.nothing();
  }
};

type Result = Translated | Untranslated;

function listener(t: Translation, dialect: DialectRules, name: string): Result {
  const full = listenerOf(t, name);
  const made = full && dialect.listener(t, full);
  return made === undefined ? t.nothing() : t.finish(LISTENER_TYPE, name, ListenerSchema, made);
}

function listenerOf(t: Translation, name: string): Listener | undefined {
  if (name === INBOUND_LISTENER) {
    return t.view.gateway === undefined ? inboundListener(t) : gatewayListener(t);
  }
  if (name === VIRTUAL_OUTBOUND) return virtualOutbound(t);
  return name === VIRTUAL_OUTBOUND_HTTP ? virtualOutboundHttp(t) : outboundListener(t, name);
}

/** Only Tulle's own sidecars answer DNS. */
function names(t: Translation, name: string): Result {
  if (name !== NAME_TABLE || t.view.dialect !== "tulle") return t.nothing();
  return t.finish(NAME_TABLE_TYPE, name, NameTableSchema, nameTable(t));
}

function runtime(t: Translation, name: string): Result {
  if (name !== RUNTIME_LAYER) return t.nothing();
  return t.finish(RUNTIME_TYPE, name, RuntimeSchema, runtimeLayer(t));
}

function secret(t: Translation, name: string): Result {
  const made = credential(t, name);
  return made === undefined ? t.nothing() : t.finish(SECRET_TYPE, name, SecretSchema, made);
}

function routes(t: Translation, dialect: DialectRules, name: string): Result {
  const full = t.view.gateway === undefined ? routeConfiguration(t, name) : gatewayRoutes(t, name);
  const made = full && dialect.routes(t, full);
  return made === undefined ? t.nothing() : t.finish(ROUTE_TYPE, name, RouteConfigurationSchema, made);
}

function cluster(t: Translation, dialect: DialectRules, name: string): Result {
  const full = clusterOf(t, name);
  const made = full && dialect.cluster(t, full);
  return made === undefined ? t.nothing() : t.finish(CLUSTER_TYPE, name, ClusterSchema, made);
}

function clusterOf(t: Translation, name: string): Cluster | undefined {
  if (name === INBOUND_PASSTHROUGH) return inboundPassthrough(t);
  if (name === PASSTHROUGH) return passthroughCluster(t);
  const passed = parsePassedName(name);
  if (passed !== undefined) return passedCluster(t, name, passed);
  const parsed = parseClusterName(name);
  if (parsed === undefined) return undefined;
  switch (parsed.direction) {
    case "inbound":
      return inboundCluster(t, name, parsed);
    case "outbound":
      return outboundCluster(t, name, parsed);
    case "failover":
      return failoverCluster(t, name, parsed);
  }
}

function endpointsOf(t: Translation, name: string): ClusterLoadAssignment | undefined {
  const passed = parsePassedName(name);
  if (passed !== undefined) return passedEndpoints(t, name, passed);
  const parsed = parseClusterName(name);
  return parsed?.direction === "outbound" ? outboundEndpoints(t, name, parsed) : undefined;
}

function endpoints(t: Translation, dialect: DialectRules, name: string): Result {
  const full = endpointsOf(t, name);
  const made = full && dialect.endpoints(t, full);
  return made === undefined ? t.nothing() : t.finish(ENDPOINT_TYPE, name, ClusterLoadAssignmentSchema, made);
}
