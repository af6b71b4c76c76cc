import type { GRPCRouteSpec, HTTPRouteSpec, MeshObject, TCPRouteSpec, TLSRouteSpec } from "@tulle/api";
import { GRPC_ROUTE, HTTP_ROUTE, TCP_ROUTE, TLS_ROUTE } from "../kinds.js";
import { isHttp, type MeshPort } from "../mesh-service.js";
import type { KindRef } from "../translation.js";

export type HttpRouteObject = MeshObject<HTTPRouteSpec>;
export type GrpcRouteObject = MeshObject<GRPCRouteSpec>;
export type TcpRouteObject = MeshObject<TCPRouteSpec>;
export type TlsRouteObject = MeshObject<TLSRouteSpec>;
/** A route of any kind. */
export type RouteObject = HttpRouteObject | GrpcRouteObject | TcpRouteObject | TlsRouteObject;

/** The kinds of routes, the most specific first: of several on one port it alone holds (GEP-1426). */
export const ROUTE_KINDS: readonly KindRef[] = [GRPC_ROUTE, HTTP_ROUTE, TLS_ROUTE, TCP_ROUTE];

/**
 * Whether routes of a kind can mean anything on a port: nobody looks for requests in a port that is declared to carry
 * bytes, nor into connections to one that is declared as `tcp`, whose server may speak first.
 */
export function canRoute({ kind }: Pick<KindRef, "kind">, { protocol }: Pick<MeshPort, "protocol">): boolean {
  if (protocol === "auto") return true;
  if (kind === HTTP_ROUTE.kind || kind === GRPC_ROUTE.kind) return isHttp(protocol);
  if (isHttp(protocol)) return false;
  return kind === TCP_ROUTE.kind || protocol !== "tcp";
}
