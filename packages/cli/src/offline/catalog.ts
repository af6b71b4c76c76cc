import type {
  Catalog,
  CatalogService,
  Instance,
  Locality,
  WrittenInstance,
  WrittenService,
} from "@tulle/api";
import { MeshError } from "@tulle/base";

/** Port that callers name where a service says none. */
const DEFAULT_PORT = 80;
/** Where sidecars take mutual TLS. */
const MESH_PORT = 15_006;

/** A registry with these services, as if their instances were up. */
export function createCatalog(written: readonly WrittenService[]): Catalog {
  const services = new Map<string, CatalogService>();
  for (const service of written) {
    const key = keyOf(service.namespace ?? "default", service.name);
    if (services.has(key)) {
      throw new MeshError(
        "invalid",
        "CLI_BAD_MESH",
        `the service ${key} is written twice: put its instances together`,
      );
    }
    services.set(key, catalogService(service, services.size));
  }
  return {
    service: (namespace, name) => services.get(keyOf(namespace, name)),
    services: () => services.values(),
  };
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name.toLowerCase()}`;
}

function catalogService(service: WrittenService, position: number): CatalogService {
  const { name, namespace = "default", port = DEFAULT_PORT, protocol = "http" } = service;
  const instances = instancesOf(service).map((instance, index) =>
    instanceOf(service, instance, position, index),
  );
  return {
    name,
    namespace,
    ports: [{ number: port, name: `${protocol}-${port}`, protocol }],
    portless: false,
    instances,
  };
}

function instancesOf({ versions, instances }: WrittenService): readonly WrittenInstance[] {
  const listed = [...(versions ?? []).map((version) => ({ version })), ...(instances ?? [])];
  return listed.length > 0 || instances !== undefined ? listed : [{}];
}

function instanceOf(
  service: WrittenService,
  instance: WrittenInstance,
  position: number,
  index: number,
): Instance {
  const { name, namespace = "default", port = DEFAULT_PORT, protocol = "http", mesh = true } = service;
  const { version, locality, weight = 1, healthy = true } = instance;
  const host = instance.address ?? addressOf(position, index);
  return {
    id: `offline/${name}-${String(index).padStart(4, "0")}`,
    service: name,
    namespace,
    address: { host, port },
    ...((instance.mesh ?? mesh) ? { meshAddress: { host, port: MESH_PORT } } : {}),
    servicePort: port,
    protocol,
    labels: { ...service.labels, ...(version === undefined ? {} : { version }), ...instance.labels },
    serviceAccount: service.serviceAccount ?? name,
    weight,
    health: healthy ? "passing" : "critical",
    ...(locality === undefined ? {} : { locality: localityOf(locality) }),
  };
}

/** An address of a network that is for benchmarks only (RFC 2544): nobody is called there. */
function addressOf(position: number, index: number): string {
  return `198.18.${(position % 255) + 1}.${(index % 254) + 1}`;
}

function localityOf(text: string): Locality {
  const [region = "", zone = "", subzone = ""] = text.split("/");
  return { region, zone, subzone };
}
