import type { Context } from "hono";
import { nodeTopic, serviceTopic } from "../../catalog.js";
import type { Registry } from "../../registry.js";
import type { NodeState, ServiceState } from "../../state.js";
import { assertValid } from "../../validate.js";
import { FieldReader } from "./field-reader.js";
import { parseCatalogRegistration } from "./parse-catalog.js";
import { matcherOf } from "./query.js";
import { readJson } from "./read-body.js";
import { json, watchable } from "./respond.js";
import { namespaceOf, readableNamespaceOf, requireDiscovery, requireNodes } from "./rights.js";
import type { RouteTable } from "./route-table.js";
import { catalogServiceShape, nodeServiceShape, nodeShape } from "./shapes.js";

/** `/v1/catalog/…` and `/v1/status/…`: everything that is registered, on all nodes. */
export function catalogRoutes(registry: Registry): RouteTable {
  const { catalog, datacenter } = registry;
  return {
    "/v1/catalog/register": { PUT: (context) => register(context, registry) },
    "/v1/catalog/deregister": { PUT: (context) => deregister(context, registry) },
    "/v1/catalog/datacenters": {
      GET: (context) => {
        requireDiscovery(context);
        return json(context, [datacenter]);
      },
    },
    "/v1/catalog/nodes": {
      GET: (context) => {
        requireNodes(context, "read");
        const matches = nodeMatcherOf(context);
        return watchable(context, registry, "nodes", () =>
          [...catalog.nodes()].filter(matches).map((node) => nodeShape(node, datacenter)),
        );
      },
    },
    "/v1/catalog/services": {
      GET: (context) => {
        const matches = matcherOf(context);
        const namespace = readableNamespaceOf(context);
        return watchable(context, registry, "services", () =>
          tagsByName([...catalog.allRegistrations(namespace)].filter(matches)),
        );
      },
    },
    "/v1/catalog/service/:service{.+}": {
      GET: (context) => {
        const name = context.req.param("service") ?? "";
        const matches = matcherOf(context);
        const namespace = readableNamespaceOf(context);
        return watchable(context, registry, serviceTopic(namespace, name), () =>
          catalog
            .registrations(namespace, name)
            .filter(matches)
            .map((service) => catalogServiceShape(service, datacenter)),
        );
      },
    },
    "/v1/catalog/node/:node{.+}": { GET: (context) => nodeServices(context, registry, "map") },
    "/v1/catalog/node-services/:node{.+}": { GET: (context) => nodeServices(context, registry, "list") },
    "/v1/status/leader": {
      GET: (context) => {
        requireDiscovery(context);
        return json(context, raftAddress(registry));
      },
    },
    "/v1/status/peers": {
      GET: (context) => {
        requireDiscovery(context);
        return json(context, [raftAddress(registry)]);
      },
    },
  };
}

async function register(context: Context, registry: Registry): Promise<Response> {
  const { registration, violations } = parseCatalogRegistration(
    await readJson(context),
    namespaceOf(context),
  );
  assertValid("registration", violations);
  requireNodes(context, "write", registration.node.name);
  await registry.registerNode(registration);
  return json(context, true);
}

async function deregister(context: Context, registry: Registry): Promise<Response> {
  const fields = FieldReader.of(await readJson(context));
  const node = fields.text("Node");
  if (node === "") fields.refuse("Node", "must not be empty");
  const serviceId = fields.text("ServiceID");
  const checkId = fields.text("CheckID");
  const namespace = fields.text("Namespace") || namespaceOf(context);
  assertValid("deregistration", fields.violations);
  requireNodes(context, "write", node);
  if (serviceId !== "") await registry.deregisterNode(node, { namespace, serviceId });
  else if (checkId !== "") await registry.deregisterNode(node, { namespace, checkId });
  else await registry.deregisterNode(node);
  return json(context, true);
}

function nodeServices(context: Context, registry: Registry, form: "map" | "list"): Promise<Response> {
  const name = context.req.param("node") ?? "";
  const namespace = readableNamespaceOf(context);
  return watchable(context, registry, nodeTopic(name), () => {
    const node = registry.catalog.node(name);
    // Consul answers null, with 200, for a node that is not there.
    if (node === undefined) return null;
    const services = [...node.services.values()].filter(
      ({ definition }) => namespace === "*" || definition.namespace === namespace,
    );
    const Node = nodeShape(node, registry.datacenter);
    if (form === "list") return { Node, Services: services.map(nodeServiceShape) };
    const Services: Record<string, object> = Object.create(null);
    for (const service of services) Services[service.definition.id] = nodeServiceShape(service);
    return { Node, Services };
  });
}

/** Services that differ in case only are one; the spelling of the first is shown. */
function tagsByName(services: readonly ServiceState[]): object {
  const byName = new Map<string, { readonly name: string; readonly tags: Set<string> }>();
  for (const { definition } of services) {
    const key = definition.name.toLowerCase();
    const entry = byName.get(key) ?? { name: definition.name, tags: new Set() };
    for (const tag of definition.tags) entry.tags.add(tag);
    byName.set(key, entry);
  }
  const out: Record<string, readonly string[]> = Object.create(null);
  for (const { name, tags } of byName.values()) out[name] = [...tags];
  return out;
}

function nodeMatcherOf(context: Context): (node: NodeState) => boolean {
  const pairs = context.req.queries("node-meta") ?? [];
  return ({ definition: { meta } }) =>
    pairs.every((pair) => {
      const [key = "", ...value] = pair.split(":");
      return Object.hasOwn(meta, key) && meta[key] === value.join(":");
    });
}

/** Where Consul's servers would talk to each other; clients only look whether there is one. */
function raftAddress({ catalog, nodeName }: Registry): string {
  return `${catalog.node(nodeName)?.definition.address ?? "127.0.0.1"}:8300`;
}
