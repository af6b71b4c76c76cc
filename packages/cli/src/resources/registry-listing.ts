import { findKind, type MeshStatus } from "@tulle/api";
import { formatAddress } from "@tulle/base";
import type { Client, ServiceHealth } from "@tulle/client";

import type { ListedRow, Listing, ListingQuery } from "./listing.js";

/** Services asked about at a time. */
const CONCURRENCY = 8;

type InstanceHealth = "passing" | "warning" | "critical" | "maintenance";

interface RegisteredInstance {
  readonly id: string;
  readonly service: string;
  readonly namespace: string;
  readonly version: string;
  readonly address: string;
  /** Where its sidecar takes mutual TLS; "" outside the mesh. */
  readonly mesh: string;
  readonly node: string;
  readonly health: InstanceHealth;
  /** What the worst check says. */
  readonly output: string;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
}

/** Registered services, each with how many of its instances are healthy. */
export async function listServices(client: Client, query: ListingQuery): Promise<Listing> {
  const groups = new Map<string, RegisteredInstance[]>();
  const { instances, warnings } = await registered(client, query);
  for (const instance of instances) {
    const key = `${instance.namespace}/${instance.service}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [instance]);
    else group.push(instance);
  }
  const rows = [...groups.values()].map(serviceRow).filter(({ name }) => isAsked(query, [name]));
  return {
    plural: "services",
    namespaced: true,
    columns: [
      { header: "HEALTHY", wide: false },
      { header: "VERSIONS", wide: false },
      { header: "PROTOCOL", wide: false },
      { header: "MESH", wide: false },
      { header: "ACCOUNT", wide: true },
      { header: "TAGS", wide: true },
    ],
    rows,
    missing: notFound("service", query, rows, ({ name }) => [name]),
    warnings,
  };
}

/** Registered instances; a name is an instance's or its service's. */
export async function listInstances(client: Client, query: ListingQuery): Promise<Listing> {
  const { instances: all, warnings } = await registered(client, query);
  const instances = all.filter(({ id, service }) => isAsked(query, [id, service]));
  return {
    plural: "instances",
    namespaced: true,
    columns: [
      { header: "SERVICE", wide: false },
      { header: "VERSION", wide: false },
      { header: "ADDRESS", wide: false },
      { header: "HEALTH", wide: false, paint: "state" },
      { header: "MESH ADDRESS", wide: true },
      { header: "NODE", wide: true },
      { header: "TAGS", wide: true },
      { header: "CHECK", wide: true },
    ],
    rows: instances.map(instanceRow),
    missing: notFound("instance or service", query, instances, ({ id, service }) => [id, service]),
    warnings,
  };
}

function serviceRow(instances: readonly RegisteredInstance[]): ListedRow {
  const { service: name = "", namespace = "" } = instances[0] ?? {};
  const healthy = instances.filter(({ health }) => health === "passing" || health === "warning").length;
  const versions = distinct(instances.map(({ version }) => version));
  const protocols = distinct(instances.map(({ meta }) => own(meta, "tulle-protocol") ?? "auto"));
  const accounts = distinct(instances.map(({ meta }) => own(meta, "tulle-service-account") ?? name));
  const tags = distinct(instances.flatMap((instance) => instance.tags));
  const meshed = instances.filter(({ mesh }) => mesh !== "").length;
  return {
    name,
    resource: `service/${name}`,
    namespace,
    cells: [
      `${healthy}/${instances.length}`,
      versions.join(","),
      protocols.join(","),
      meshed === instances.length ? "yes" : meshed === 0 ? "no" : `${meshed}/${instances.length}`,
      accounts.join(","),
      tags.join(","),
    ],
    data: {
      name,
      namespace,
      instances: instances.length,
      healthy,
      meshed,
      versions,
      protocols,
      serviceAccounts: accounts,
      tags,
    },
  };
}

function instanceRow(instance: RegisteredInstance): ListedRow {
  const { id, service, namespace, version, address, mesh, node, health, output, tags } = instance;
  return {
    name: id,
    resource: `instance/${id}`,
    namespace,
    cells: [service, version, address, health, mesh, node, tags.join(","), output.trim()],
    data: instance,
  };
}

interface Registered {
  readonly instances: readonly RegisteredInstance[];
  readonly warnings: readonly string[];
}

async function registered(client: Client, { namespace }: ListingQuery): Promise<Registered> {
  if (namespace !== undefined) return { instances: await registeredIn(client, [namespace]), warnings: [] };
  const status = await client.status();
  const instances = await registeredIn(client, await knownNamespaces(client, status));
  const hidden = status.controlPlane.instances - instances.length;
  const warning = `${hidden} more instances are in namespaces that no object and no identity names: name theirs with -n`;
  return { instances, warnings: hidden > 0 ? [warning] : [] };
}

async function registeredIn(
  client: Client,
  namespaces: readonly string[],
): Promise<readonly RegisteredInstance[]> {
  const services: { readonly name: string; readonly namespace: string }[] = [];
  for (const namespace of namespaces) {
    for (const { name } of await client.registry.services({ namespace })) services.push({ name, namespace });
  }
  const found: (readonly RegisteredInstance[])[] = Array.from({ length: services.length }, () => []);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < services.length; at = next++) {
      const { name = "", namespace = "" } = services[at] ?? {};
      found[at] = (await client.registry.health(name, { namespace })).map((entry) =>
        toInstance(entry, namespace),
      );
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return found.flat();
}

/**
 * Namespaces that an object or an identity names: the registry's API lists services by namespace, but not the
 * namespaces.
 */
async function knownNamespaces(
  client: Client,
  { proxies, certificates }: MeshStatus,
): Promise<readonly string[]> {
  const kind = findKind("", "Namespace");
  const objects = kind === undefined ? [] : (await client.resources.list(kind)).items;
  const identities = [
    ...proxies.map(({ identity }) => identity),
    ...certificates.map(({ spiffeId }) => spiffeId),
  ];
  return distinct([
    "default",
    ...objects.map(({ metadata }) => metadata.name),
    ...identities.map((identity) => /\/ns\/([^/]+)\/sa\//.exec(identity)?.[1] ?? ""),
  ]);
}

function toInstance({ Node, Service, Checks }: ServiceHealth, namespace: string): RegisteredInstance {
  const mesh = own(Service.TaggedAddresses ?? {}, "mesh");
  const meta = Service.Meta ?? {};
  const tags = Service.Tags ?? [];
  const host = Service.Address === "" ? Node.Address : Service.Address;
  return {
    id: Service.ID,
    service: Service.Service,
    namespace: Service.Namespace ?? namespace,
    version: own(meta, "version") ?? tags.find((tag) => /^v\d/.test(tag)) ?? "",
    address: formatAddress(host, Service.Port),
    mesh: mesh === undefined ? "" : formatAddress(mesh.Address, mesh.Port),
    node: Node.Node,
    ...worst(Checks),
    tags,
    meta,
  };
}

const SEVERITY: readonly string[] = ["passing", "warning", "critical", "maintenance"];

/** An instance is as healthy as its worst check; maintenance is a check of its own (Consul's convention). */
function worst(checks: ServiceHealth["Checks"]): Pick<RegisteredInstance, "health" | "output"> {
  let health: InstanceHealth = "passing";
  let output = "";
  for (const check of checks) {
    const { CheckID, Status, Output } = check;
    const isMaintenance = CheckID === "_node_maintenance" || CheckID.startsWith("_service_maintenance:");
    const state = isMaintenance ? "maintenance" : Status;
    if (SEVERITY.indexOf(state) > SEVERITY.indexOf(health)) {
      health = state as InstanceHealth;
      // Why somebody took it out of traffic is a note.
      const { Notes = "" } = check as { readonly Notes?: string };
      output = Output === "" ? Notes : Output;
    }
  }
  return { health, output };
}

function isAsked({ names }: ListingQuery, own: readonly string[]): boolean {
  return names.length === 0 || own.some((name) => names.includes(name));
}

function notFound<T>(
  what: string,
  { names, namespace }: ListingQuery,
  found: readonly T[],
  namesOf: (item: T) => readonly string[],
): readonly string[] {
  const there = new Set(found.flatMap(namesOf));
  const where = namespace === undefined ? "" : ` in namespace ${namespace}`;
  return names.filter((name) => !there.has(name)).map((name) => `${what} "${name}" not found${where}`);
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)].filter((text) => text !== "").sort();
}

/** Users choose the keys. */
function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
