import { declaredProtocol, type CatalogService, type Instance, type ServicePort } from "@tulle/api";
import { DEFAULT_NAMESPACE, type ServiceDefinition } from "./definition.js";
import { isSilent, serviceHealth, type ServiceState } from "./state.js";

/** Meta keys with this prefix speak to the mesh and are no labels. */
const MESH_PREFIX = "tulle-";
export const MESH_KEYS = {
  servicePort: "tulle-service-port",
  serviceAccount: "tulle-service-account",
  protocol: "tulle-protocol",
} as const;
/** TaggedAddresses entry that names the sidecar's inbound listener. */
export const MESH_ADDRESS_TAG = "mesh";

/** What the mesh sees of a registration, or undefined when it has no port: nothing can be sent to it. */
export function toInstance(service: ServiceState): Instance | undefined {
  const { definition, node } = service;
  if (definition.port === 0) return undefined;
  const host = definition.address === "" ? node.definition.address : definition.address;
  const mesh = definition.taggedAddresses[MESH_ADDRESS_TAG];
  const servicePort = definition.meta[MESH_KEYS.servicePort];
  const protocol = definition.meta[MESH_KEYS.protocol];
  const health = serviceHealth(service);
  return {
    id: instanceId(service),
    service: definition.name.toLowerCase(),
    namespace: definition.namespace,
    address: { host, port: definition.port },
    ...(mesh === undefined
      ? {}
      : { meshAddress: { host: mesh.address === "" ? host : mesh.address, port: mesh.port } }),
    ...(servicePort === undefined ? {} : { servicePort: Number(servicePort) }),
    protocol: (protocol === undefined ? undefined : declaredProtocol(protocol)) ?? "auto",
    labels: deriveLabels(definition),
    ...(definition.tags.length === 0 ? {} : { tags: definition.tags }),
    serviceAccount: accountOf(definition),
    weight: health === "warning" ? definition.weights.warning : definition.weights.passing,
    health,
    ...(isSilent(service) ? { silent: true } : {}),
    ...(definition.locality === undefined ? {} : { locality: { ...definition.locality, subzone: "" } }),
  };
}

/** Service account that a registration says it runs as. */
export function accountOf({ meta, name }: ServiceDefinition): string {
  return meta[MESH_KEYS.serviceAccount] ?? name.toLowerCase();
}

/** `<node>/<service id>`; other namespaces than the default go between, since ids repeat there. */
export function instanceId({ node, definition }: ServiceState): string {
  const middle = definition.namespace === DEFAULT_NAMESPACE ? "" : `${definition.namespace}/`;
  return `${node.definition.name}/${middle}${definition.id}`;
}

/** Meta without the mesh's own keys; `version` from the first tag of the form `v<digits>…` when Meta has none. */
export function deriveLabels({ meta, tags }: ServiceDefinition): Readonly<Record<string, string>> {
  const labels: Record<string, string> = Object.create(null);
  for (const [key, value] of Object.entries(meta)) {
    if (!key.startsWith(MESH_PREFIX)) labels[key] = value;
  }
  if (labels["version"] === undefined) {
    const version = tags.find((tag) => /^v\d/.test(tag));
    if (version !== undefined) labels["version"] = version;
  }
  return labels;
}

/** A service as the mesh sees it, from its instances in order of their ids. */
export function toCatalogService(
  namespace: string,
  name: string,
  instances: readonly Instance[],
): CatalogService {
  const declared = new Map<number, ServicePort>();
  for (const { servicePort, protocol } of instances) {
    if (servicePort === undefined) continue;
    const known = declared.get(servicePort);
    // One instance that declares the protocol speaks for those that do not.
    if (known === undefined || (known.protocol === "auto" && protocol !== "auto")) {
      declared.set(servicePort, { number: servicePort, name: protocol, protocol });
    }
  }
  const portless = declared.size === 0;
  const first = instances[0];
  const protocol = instances.find((instance) => instance.protocol !== "auto")?.protocol ?? "auto";
  const ports: readonly ServicePort[] = portless
    ? first === undefined
      ? []
      : [{ number: first.address.port, name: protocol, protocol }]
    : [...declared.values()].sort((a, b) => a.number - b.number);
  return { name, namespace, ports, portless, instances };
}
