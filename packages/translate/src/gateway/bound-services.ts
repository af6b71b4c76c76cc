import type { MeshObject, VirtualServiceSpec } from "@tulle/api";
import { expandHost } from "../hosts.js";
import { VIRTUAL_SERVICE } from "../kinds.js";
import type { Translation } from "../translation.js";
import { byAge, isExported } from "../visibility.js";
import { commonHost, gatewayName, type Server } from "./server.js";

/** A VirtualService that holds for a server, with the hosts that it holds for. */
export interface BoundService {
  readonly object: MeshObject<VirtualServiceSpec>;
  /** What its hosts and the server's have in common; at least one. */
  readonly hosts: readonly string[];
}

/** The VirtualServices that are bound to a server's Gateway and share a host with it, the oldest first. */
export function boundServices(t: Translation, server: Server): readonly BoundService[] {
  return [...t.objects<VirtualServiceSpec>(VIRTUAL_SERVICE)]
    .filter((object) => isBound(t, object, server))
    .sort(byAge)
    .flatMap((object) => {
      const { namespace } = object.metadata;
      const written = (object.spec.hosts ?? []).map((host) =>
        expandHost(host.toLowerCase(), namespace, t.settings.domainSuffix),
      );
      const hosts = written.flatMap((host) => commonHosts(server, host, namespace));
      return hosts.length === 0 ? [] : [{ object, hosts: [...new Set(hosts)] }];
    });
}

/** Whether rules with a list of gateways, written in `namespace`, hold for a server's Gateway; no list: they do. */
export function namesGateway(
  gateways: readonly string[] | undefined,
  namespace: string,
  server: Server,
): boolean {
  if (gateways === undefined || gateways.length === 0) return true;
  return gateways.some((gateway) => fullGatewayName(gateway, namespace) === gatewayName(server));
}

/** `namespace/name` of a Gateway as an object of `namespace` names it; undefined for the sidecars' `mesh`. */
export function fullGatewayName(gateway: string, namespace: string): string | undefined {
  if (gateway === "mesh") return undefined;
  return gateway.includes("/") ? gateway : `${namespace}/${gateway}`;
}

function isBound(
  t: Translation,
  { spec, metadata }: MeshObject<VirtualServiceSpec>,
  server: Server,
): boolean {
  const { gateways = [], exportTo } = spec;
  return (
    gateways.length > 0 &&
    namesGateway(gateways, metadata.namespace, server) &&
    isExported(exportTo, metadata.namespace, t.view.namespace)
  );
}

function commonHosts(server: Server, host: string, from: string): readonly string[] {
  return server.hosts.flatMap(({ namespace, host: served }) => {
    if (namespace !== undefined && namespace !== from) return [];
    return commonHost(served, host) ?? [];
  });
}
