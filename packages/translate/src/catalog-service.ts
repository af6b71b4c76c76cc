import {
  servingInstances,
  serviceLabels,
  type CatalogService,
  type Instance,
  type ServicePort,
} from "@tulle/api";
import { defaultProtocol } from "./consul/entries.js";
import { fullHost } from "./hosts.js";
import type { MeshEndpoint, MeshService } from "./mesh-service.js";
import { localityOfLabels } from "./locality/locality.js";
import { sessionOfLabels } from "./routes/session.js";
import { spiffeIds } from "./names.js";
import type { Translation } from "./translation.js";

/** A registered service as translation sees it. */
export function catalogService(t: Translation, service: CatalogService): MeshService {
  const meshed = service.instances.filter((instance) => instance.meshAddress !== undefined).length;
  // The accounts of all instances, unhealthy and unmeshed ones too: what depends on a service's shape must not change
  // when one of them recovers, and a server may speak mesh TLS without a sidecar.
  const identities = new Set(
    service.instances.flatMap(({ namespace, serviceAccount }) =>
      spiffeIds(t.settings, namespace, serviceAccount),
    ),
  );
  const annotations = serviceLabels(service);
  const host = fullHost(service, t.settings.domainSuffix);
  return {
    host,
    name: service.name.toLowerCase(),
    namespace: service.namespace,
    ports: portsOf(t, service),
    portless: service.portless,
    discovery: "EDS",
    identities: [...identities].sort(),
    session: sessionOfLabels(annotations),
    annotations,
    meshed: meshed === 0 ? "none" : meshed === service.instances.length ? "all" : "some",
    addresses: () => {
      const ip = t.virtualIp(host);
      return ip === undefined ? [] : [ip];
    },
    endpoints: (port) => {
      const instances = t.instances(service);
      const serving = new Set(servingInstances(instances, t.settings.protectThreshold));
      return instances
        .filter((instance) => service.portless || servedPort(instance) === port.number)
        .map((instance) => endpointOf(instance, serving.has(instance)));
    },
  };
}

/** Where no instance says what a port speaks, Consul's defaults may. */
function portsOf(t: Translation, service: CatalogService): readonly ServicePort[] {
  if (service.ports.every(({ protocol }) => protocol !== "auto")) return service.ports;
  const protocol = defaultProtocol(t, service);
  if (protocol === undefined) return service.ports;
  return service.ports.map((port) => (port.protocol === "auto" ? { ...port, protocol } : port));
}

/** The service port that an instance serves: the application's own unless it declared another. */
function servedPort(instance: Instance): number {
  return instance.servicePort ?? instance.address.port;
}

function endpointOf(instance: Instance, serving: boolean): MeshEndpoint {
  const mesh = instance.meshAddress;
  return {
    id: instance.id,
    address: instance.address.host,
    port: instance.address.port,
    mesh: mesh === undefined ? undefined : { address: mesh.host, port: mesh.port },
    labels: instance.labels,
    weight: instance.weight,
    ...(instance.health === "warning" && { warning: true }),
    ...(instance.tags !== undefined && { tags: instance.tags }),
    health: serving ? "healthy" : instance.health === "maintenance" ? "draining" : "unhealthy",
    locality: instance.locality ?? localityOfLabels(instance.labels),
    service: instance.service,
    namespace: instance.namespace,
  };
}
