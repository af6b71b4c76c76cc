/** Type URLs of the xDS resources that Tulle serves and consumes. */
export const LISTENER_TYPE = "type.googleapis.com/envoy.config.listener.v3.Listener";
export const ROUTE_TYPE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
export const CLUSTER_TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
export const ENDPOINT_TYPE = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
/** Istio's name table (NDS): what a sidecar's DNS answers. */
export const NAME_TABLE_TYPE = "type.googleapis.com/istio.networking.nds.v1.NameTable";
/** Values of runtime keys (RTDS). */
export const RUNTIME_TYPE = "type.googleapis.com/envoy.service.runtime.v3.Runtime";
export const SECRET_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/** What the names of a cluster stand for (`tulle.v1.ResolvedNames`): a proxy's own, which is never subscribed to. */
export const RESOLVED_NAMES_TYPE = "type.googleapis.com/tulle.v1.ResolvedNames";

/**
 * Make-before-break order in which changes of several types are sent:
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#eventual-consistency-considerations
 * THE ORDER MATTERS. Removals go the other way round.
 */
export const SEND_ORDER: readonly string[] = [
  RUNTIME_TYPE,
  SECRET_TYPE,
  CLUSTER_TYPE,
  ENDPOINT_TYPE,
  LISTENER_TYPE,
  ROUTE_TYPE,
  NAME_TABLE_TYPE,
];

/**
 * Order of removals: what refers goes before what it refers to, so that nothing is left pointing at what is gone.
 */
export const REMOVAL_ORDER: readonly string[] = [
  LISTENER_TYPE,
  ROUTE_TYPE,
  ENDPOINT_TYPE,
  CLUSTER_TYPE,
  SECRET_TYPE,
  NAME_TABLE_TYPE,
  RUNTIME_TYPE,
];

/** Whether a first request without names means "everything"; of Tulle's types that holds for Listeners and Clusters. */
export function allowsLegacyWildcard(typeUrl: string): boolean {
  return typeUrl === LISTENER_TYPE || typeUrl === CLUSTER_TYPE;
}

/** One resource, encoded once: the same bytes go to every client that subscribes to it. */
export interface EncodedResource {
  readonly typeUrl: string;
  readonly name: string;
  /** Hash of `bytes`: equal content is an equal version. */
  readonly version: string;
  /** The encoded message, as it goes into an Any's value. Must not be altered. */
  readonly bytes: Uint8Array;
}
