import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { ClusterSchema } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { outboundCluster } from "./clusters.js";
import type { Dialect, Translate, Translated, Untranslated } from "./contract.js";
import type { DialectRules } from "./dialects/dialect.js";
import { grpcDialect } from "./dialects/grpc.js";
import { tulleDialect } from "./dialects/tulle.js";
import { outboundEndpoints } from "./endpoints.js";
import { INBOUND_LISTENER, inboundCluster, inboundListener } from "./inbound.js";
import { outboundListener } from "./listeners.js";
import { parseClusterName } from "./names.js";
import { routeConfiguration } from "./routes/route-configuration.js";
import { Translation } from "./translation.js";

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
    default:
      return t.nothing();
  }
};

type Result = Translated | Untranslated;

function listener(t: Translation, dialect: DialectRules, name: string): Result {
  const full = name === INBOUND_LISTENER ? inboundListener(t) : outboundListener(t, name);
  const made = full && dialect.listener(t, full);
  return made === undefined ? t.nothing() : t.finish(LISTENER_TYPE, name, ListenerSchema, made);
}

function routes(t: Translation, dialect: DialectRules, name: string): Result {
  const full = routeConfiguration(t, name);
  const made = full && dialect.routes(t, full);
  return made === undefined ? t.nothing() : t.finish(ROUTE_TYPE, name, RouteConfigurationSchema, made);
}

function cluster(t: Translation, dialect: DialectRules, name: string): Result {
  const parsed = parseClusterName(name);
  if (parsed === undefined) return t.nothing();
  const full =
    parsed.direction === "inbound" ? inboundCluster(t, name, parsed) : outboundCluster(t, name, parsed);
  const made = full && dialect.cluster(t, full);
  return made === undefined ? t.nothing() : t.finish(CLUSTER_TYPE, name, ClusterSchema, made);
}

function endpoints(t: Translation, dialect: DialectRules, name: string): Result {
  const parsed = parseClusterName(name);
  if (parsed?.direction !== "outbound") return t.nothing();
  const made = dialect.endpoints(t, outboundEndpoints(t, name, parsed));
  return made === undefined ? t.nothing() : t.finish(ENDPOINT_TYPE, name, ClusterLoadAssignmentSchema, made);
}
