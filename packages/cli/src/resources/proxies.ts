import { formatAge, type MeshStatus, type ProxyStatus, type ProxyTypeStatus } from "@tulle/api";
import type { Client } from "@tulle/client";

import type { ListedRow, Listing, ListingQuery } from "./listing.js";

/** The discovery services that every proxy has, in the order that changes are sent. */
export const XDS_TYPES = ["CDS", "EDS", "LDS", "RDS"] as const;

const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ["envoy.config.cluster.v3.Cluster", "CDS"],
  ["envoy.config.endpoint.v3.ClusterLoadAssignment", "EDS"],
  ["envoy.config.listener.v3.Listener", "LDS"],
  ["envoy.config.route.v3.RouteConfiguration", "RDS"],
  ["envoy.extensions.transport_sockets.tls.v3.Secret", "SDS"],
]);

/** `CDS` and its like for a type URL; of a type without one, the message's name. */
export function xdsTypeName(typeUrl: string): string {
  const message = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
  return SHORT_NAMES.get(message) ?? message.slice(message.lastIndexOf(".") + 1);
}

/** `synced`, `stale` or `NACK`; `-` when the proxy asks for nothing of the type. */
export function xdsState(proxy: ProxyStatus, type: string): string {
  const status = proxy.types.find(({ typeUrl }) => xdsTypeName(typeUrl) === type);
  if (status === undefined) return "-";
  return status.state === "nack" ? "NACK" : status.state;
}

/** `reviews-1.default`, the part of a sidecar's node id that people know; other ids as they are. */
export function proxyName(id: string): string {
  const parts = id.split("~");
  return parts.length === 4 ? (parts[2] ?? id) : id;
}

export interface Refusal extends ProxyTypeStatus {
  readonly proxy: string;
  readonly type: string;
}

/** What proxies refused, in their words. */
export function refusals({ proxies }: MeshStatus): readonly Refusal[] {
  return proxies.flatMap(({ id, types }) =>
    types
      .filter(({ state }) => state === "nack")
      .map((status) => ({ ...status, proxy: proxyName(id), type: xdsTypeName(status.typeUrl) })),
  );
}

/** Connected proxies, of all namespaces; a name is an id or the part of it that is shown. */
export async function listProxies(client: Client, { names }: ListingQuery): Promise<Listing> {
  const { proxies, controlPlane } = await client.status();
  const isNamed = (name: string, { id }: ProxyStatus): boolean => name === id || name === proxyName(id);
  const asked = proxies.filter((proxy) => names.length === 0 || names.some((name) => isNamed(name, proxy)));
  return {
    plural: "proxies",
    namespaced: false,
    columns: [
      { header: "DIALECT", wide: false },
      { header: "VERSION", wide: false },
      ...XDS_TYPES.map((header) => ({ header, wide: false, paint: "state" as const })),
      { header: "CONNECTED", wide: false },
      { header: "IDENTITY", wide: true },
      { header: "ADMIN", wide: true },
      { header: "ID", wide: true },
    ],
    rows: asked.map((proxy) => row(proxy, controlPlane.now)),
    missing: names
      .filter((name) => !proxies.some((proxy) => isNamed(name, proxy)))
      .map((name) => `proxy "${name}" is not connected`),
  };
}

function row(proxy: ProxyStatus, now: number): ListedRow {
  const { id, dialect, version = "-", identity, admin, connectedAt } = proxy;
  const states = XDS_TYPES.map((type) => xdsState(proxy, type));
  return {
    name: proxyName(id),
    resource: `proxy/${proxyName(id)}`,
    namespace: "",
    cells: [dialect, version, ...states, formatAge(now - connectedAt), identity, admin, id],
    data: proxy,
  };
}
