import {
  CONSUL_GROUP,
  type AppProtocol,
  type ConsulProtocol,
  type MeshObject,
  type ProxyDefaultsSpec,
  type ServiceDefaultsSpec,
  type ServiceResolverSpec,
  type ServiceRouterSpec,
  type ServiceSplitterSpec,
} from "@tulle/api";
import { serviceNamed, type ServiceId } from "../hosts.js";
import type { KindRef, Translation } from "../translation.js";

export const SERVICE_ROUTER: KindRef = { group: CONSUL_GROUP, kind: "ServiceRouter" };
export const SERVICE_SPLITTER: KindRef = { group: CONSUL_GROUP, kind: "ServiceSplitter" };
export const SERVICE_RESOLVER: KindRef = { group: CONSUL_GROUP, kind: "ServiceResolver" };
export const SERVICE_DEFAULTS: KindRef = { group: CONSUL_GROUP, kind: "ServiceDefaults" };
export const PROXY_DEFAULTS: KindRef = { group: CONSUL_GROUP, kind: "ProxyDefaults" };

/** The one entry of the defaults for all services. */
const GLOBAL = "global";

export type RouterEntry = MeshObject<ServiceRouterSpec>;
export type SplitterEntry = MeshObject<ServiceSplitterSpec>;
export type ResolverEntry = MeshObject<ServiceResolverSpec>;

/** What Consul's entries say of one service. */
export interface ServiceEntries {
  readonly router: RouterEntry | undefined;
  readonly splitter: SplitterEntry | undefined;
  readonly resolver: ResolverEntry | undefined;
}

/** The entries about a service that lead its requests somewhere. */
export function entriesOf(t: Translation, id: ServiceId): ServiceEntries {
  return {
    router: entryOf<ServiceRouterSpec>(t, SERVICE_ROUTER, id),
    splitter: splitterOf(t, id),
    resolver: resolverOf(t, id),
  };
}

/** A service's splitter alone. */
export function splitterOf(t: Translation, id: ServiceId): SplitterEntry | undefined {
  return entryOf<ServiceSplitterSpec>(t, SERVICE_SPLITTER, id);
}

/** A service's resolver alone: clusters and endpoints do not depend on how requests are routed and split. */
export function resolverOf(t: Translation, id: ServiceId): ResolverEntry | undefined {
  return entryOf<ServiceResolverSpec>(t, SERVICE_RESOLVER, id);
}

/** What a service's instances speak where they do not say it: by its `service-defaults`, else by `proxy-defaults`. */
export function defaultProtocol(t: Translation, id: ServiceId): AppProtocol | undefined {
  const own = entryOf<ServiceDefaultsSpec>(t, SERVICE_DEFAULTS, id);
  if (own?.spec.protocol !== undefined) {
    t.own(own);
    return own.spec.protocol;
  }
  const global = entryOf<ProxyDefaultsSpec>(t, PROXY_DEFAULTS, { ...id, name: GLOBAL });
  const protocol = global?.spec.config?.["protocol"] as ConsulProtocol | undefined;
  if (global !== undefined && protocol !== undefined) t.own(global);
  return protocol;
}

/** How a service calls others, as its `service-defaults` say. */
export function defaultsOf(t: Translation, id: ServiceId): MeshObject<ServiceDefaultsSpec> | undefined {
  return entryOf<ServiceDefaultsSpec>(t, SERVICE_DEFAULTS, id);
}

/** The service that a host in full is of; undefined for hosts that no entry can be about. */
export function serviceOfHost(t: Translation, host: string): ServiceId | undefined {
  const { domainSuffix } = t.settings;
  return host.endsWith(`.svc.${domainSuffix}`) ? serviceNamed(host, "", domainSuffix) : undefined;
}

/** Lists stay the same until one of their objects changes. */
const indexes = new WeakMap<readonly MeshObject[], ReadonlyMap<string, MeshObject>>();

function entryOf<Spec>(t: Translation, ref: KindRef, id: ServiceId): MeshObject<Spec> | undefined {
  const all = t.objects<Spec>(ref);
  let index = indexes.get(all);
  if (index === undefined) {
    index = new Map(all.map((object) => [`${object.metadata.namespace}/${object.metadata.name}`, object]));
    indexes.set(all, index);
  }
  return index.get(`${id.namespace}/${id.name.toLowerCase()}`) as MeshObject<Spec> | undefined;
}
