import { formatAddress } from "@tulle/base";
import type { MeshSettings } from "./contract.js";
import { isPortNumber } from "./ports.js";

/** Name of the inbound listener (Istio's). */
export const INBOUND_LISTENER = "virtualInbound";

/** What a cluster's name says, in Istio's form `<direction>|<port>|<subset>|<host>`. */
export interface ClusterName {
  readonly direction: "outbound" | "inbound" | "failover";
  /** Port that callers name. */
  readonly port: number;
  /** Empty when the cluster is not for a subset. */
  readonly subset: string;
  readonly host: string;
}

/** Name of the cluster, and of its endpoints, for calls to `host`. */
export function outboundClusterName(host: string, port: number, subset = ""): string {
  return `outbound|${port}|${subset}|${host}`;
}

/** Name of the cluster for calls to `host` that has other services' clusters behind its own. */
export function failoverClusterName(host: string, port: number, subset = ""): string {
  return `failover|${port}|${subset}|${host}`;
}

/** Name of the cluster that leads to the workload's own application. */
export function inboundClusterName(host: string, port: number): string {
  return `inbound|${port}||${host}`;
}

/**
 * A cluster without endpoints: where that goes which must reach nobody. Its host is one that no service and no
 * ServiceEntry can have.
 */
export const NOBODY: string = outboundClusterName("::", 1);

/** Reads a cluster's name; undefined when it is not in Istio's form. */
export function parseClusterName(name: string): ClusterName | undefined {
  const [direction, portText, subset, host, ...rest] = name.split("|");
  if (direction !== "outbound" && direction !== "inbound" && direction !== "failover") return undefined;
  if (portText === undefined || subset === undefined || host === undefined || rest.length > 0)
    return undefined;
  if (!/^[1-9]\d{0,4}$/.test(portText) || host === "" || host.length > 255) return undefined;
  const port = Number(portText);
  return isPortNumber(port) ? { direction, port, subset, host } : undefined;
}

/** Name of the RouteConfiguration for calls to `host:port`. */
export function routeConfigurationName(host: string, port: number): string {
  return formatAddress(host, port);
}

/**
 * Server name between sidecars. It names service and port and never a subset: subsets are made of the same endpoints
 * as the whole service, so clusters of all subsets can share connections.
 */
export function serverName(host: string, port: number): string {
  return passedName(host, port, "");
}

/**
 * Server name by which other meshes' sidecars call a port of a service, or of its subset (Istio's form), through a gateway of
 * mode AUTO_PASSTHROUGH. Its cluster there has the same name.
 */
export function passedName(host: string, port: number, subset: string): string {
  return `outbound_.${port}_.${subset}_.${host}`;
}

/** Reads a name of {@link passedName}; undefined when it is none. */
export function parsePassedName(name: string): ClusterName | undefined {
  const [, port, subset = "", host] = /^outbound_\.([^_]+)_\.([^_|]*)_\.([^|]+)$/.exec(name) ?? [];
  return host === undefined ? undefined : parseClusterName(`outbound|${port}|${subset}|${host}`);
}

/** Server name pattern that every port of a service matches (Envoy's wildcard: any labels before the suffix). */
export function anyPortServerName(host: string): string {
  return `*.${host}`;
}

/** Every SPIFFE id that a service account's workloads may have: one for each name of the trust domain. */
export function spiffeIds(
  { trustDomain, trustDomainAliases = [] }: Pick<MeshSettings, "trustDomain" | "trustDomainAliases">,
  namespace: string,
  serviceAccount: string,
): readonly string[] {
  return [trustDomain, ...trustDomainAliases].map((name) => spiffeId(name, namespace, serviceAccount));
}

/** SPIFFE id of a service account. */
export function spiffeId(trustDomain: string, namespace: string, serviceAccount: string): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}
