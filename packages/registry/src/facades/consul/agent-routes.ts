import { MeshError } from "@tulle/base";
import type { Context } from "hono";
import { DEFAULT_NAMESPACE, type CheckStatus } from "../../definition.js";
import type { Registry } from "../../registry.js";
import { aggregateHealth, checksOf, serviceHealth, serviceKey, type ServiceState } from "../../state.js";
import { assertValid } from "../../validate.js";
import { FieldReader } from "./field-reader.js";
import { parseCheck, parseStatus } from "./parse-check.js";
import { parseRegistration } from "./parse-service.js";
import { badRequest, flagOf } from "./query.js";
import { readJson } from "./read-body.js";
import { done, json } from "./respond.js";
import {
  namespaceOf,
  readableNamespaceOf,
  requireDiscovery,
  requireNewCheck,
  requireNodes,
  requireOwnCheck,
  requireOwnService,
  requireRegistration,
} from "./rights.js";
import type { RouteTable } from "./route-table.js";
import { agentServiceShape, checkShape } from "./shapes.js";

/** `/v1/agent/…`: what is registered at the own node, and what applications tell about themselves. */
export function agentRoutes(registry: Registry, version: string): RouteTable {
  return {
    "/v1/agent/service/register": { PUT: (context) => registerService(context, registry) },
    "/v1/agent/service/deregister/:id{.+}": {
      PUT: async (context) => {
        const namespace = namespaceOf(context);
        requireOwnService(context, registry, namespace, idOf(context));
        await registry.deregisterService(namespace, idOf(context));
        return done(context);
      },
    },
    "/v1/agent/service/maintenance/:id{.+}": {
      PUT: async (context) => {
        const enabled = maintenanceFlag(context);
        const reason = context.req.query("reason") ?? "";
        const namespace = namespaceOf(context);
        requireOwnService(context, registry, namespace, idOf(context));
        await registry.setServiceMaintenance(namespace, idOf(context), enabled, reason);
        return done(context);
      },
    },
    "/v1/agent/maintenance": {
      PUT: async (context) => {
        requireNodes(context, "write", registry.nodeName);
        await registry.setNodeMaintenance(maintenanceFlag(context), context.req.query("reason") ?? "");
        return done(context);
      },
    },
    "/v1/agent/check/register": { PUT: (context) => registerCheck(context, registry) },
    "/v1/agent/check/deregister/:id{.+}": {
      PUT: async (context) => {
        const namespace = namespaceOf(context);
        requireOwnCheck(context, registry, namespace, idOf(context));
        await registry.deregisterCheck(namespace, idOf(context));
        return done(context);
      },
    },
    "/v1/agent/check/pass/:id{.+}": { PUT: (context) => tell(context, registry, "passing") },
    "/v1/agent/check/warn/:id{.+}": { PUT: (context) => tell(context, registry, "warning") },
    "/v1/agent/check/fail/:id{.+}": { PUT: (context) => tell(context, registry, "critical") },
    "/v1/agent/check/update/:id{.+}": {
      PUT: async (context) => {
        const fields = FieldReader.of(await readJson(context));
        const status = parseStatus(fields, "passing");
        const output = fields.text("Output");
        assertValid("check update", fields.violations);
        const namespace = namespaceOf(context);
        requireOwnCheck(context, registry, namespace, idOf(context));
        registry.updateTtlCheck(namespace, idOf(context), status, output);
        return done(context);
      },
    },
    "/v1/agent/services": {
      GET: (context) => {
        const out: Record<string, object> = Object.create(null);
        for (const service of ownServices(context, registry)) {
          out[service.definition.id] = agentServiceShape(service, registry.datacenter);
        }
        return json(context, out);
      },
    },
    "/v1/agent/service/:id{.+}": {
      GET: (context) => json(context, agentServiceShape(ownService(context, registry), registry.datacenter)),
    },
    "/v1/agent/checks": { GET: (context) => json(context, agentChecks(context, registry)) },
    "/v1/agent/self": {
      GET: (context) => {
        requireDiscovery(context);
        return json(context, selfShape(registry, version));
      },
    },
    "/v1/agent/members": {
      GET: (context) => {
        requireDiscovery(context);
        return json(context, [memberShape(registry, version)]);
      },
    },
    "/v1/agent/health/service/name/:name{.+}": {
      GET: (context) => {
        const name = context.req.param("name")?.toLowerCase() ?? "";
        const found = ownServices(context, registry).filter(
          ({ definition }) => definition.name.toLowerCase() === name,
        );
        const health = aggregateHealth(found.flatMap((service) => [...checksOf(service)]));
        const shapes = found.map((service) => healthOf(service, registry));
        return healthAnswer(context, found.length === 0 ? undefined : health, shapes);
      },
    },
    "/v1/agent/health/service/id/:id{.+}": {
      GET: (context) => {
        const service = findOwn(context, registry);
        if (service === undefined) return healthAnswer(context, undefined, undefined);
        return healthAnswer(context, serviceHealth(service), healthOf(service, registry));
      },
    },
  };
}

async function registerService(context: Context, registry: Registry): Promise<Response> {
  const { service, checks, violations } = parseRegistration(await readJson(context), namespaceOf(context));
  assertValid("service registration", violations);
  requireRegistration(context, registry, service, checks);
  const replaceChecks = flagOf(context, "replace-existing-checks");
  await registry.registerService(service, checks, { replaceChecks });
  return done(context);
}

async function registerCheck(context: Context, registry: Registry): Promise<Response> {
  const fields = FieldReader.of(await readJson(context));
  const check = parseCheck(fields, {
    namespace: fields.text("Namespace") || namespaceOf(context),
    serviceId: fields.text("ServiceID"),
    defaultId: fields.text("Name"),
    defaultName: "",
  });
  assertValid("check", fields.violations);
  requireNewCheck(context, registry, check);
  await registry.registerCheck(check);
  return done(context);
}

function tell(context: Context, registry: Registry, status: CheckStatus): Response {
  const namespace = namespaceOf(context);
  requireOwnCheck(context, registry, namespace, idOf(context));
  registry.updateTtlCheck(namespace, idOf(context), status, context.req.query("note") ?? "");
  return done(context);
}

function idOf(context: Context): string {
  return context.req.param("id") ?? "";
}

function maintenanceFlag(context: Context): boolean {
  if ((context.req.query("enable") ?? "") === "")
    throw badRequest("Missing value for enable: give ?enable=true or false");
  return flagOf(context, "enable");
}

function ownServices(context: Context, registry: Registry): ServiceState[] {
  const services = registry.catalog.node(registry.nodeName)?.services.values() ?? [];
  const namespace = readableNamespaceOf(context);
  return [...services].filter(({ definition }) => namespace === "*" || definition.namespace === namespace);
}

function findOwn(context: Context, registry: Registry): ServiceState | undefined {
  return registry.catalog
    .node(registry.nodeName)
    ?.services.get(serviceKey(readableNamespaceOf(context), idOf(context)));
}

function ownService(context: Context, registry: Registry): ServiceState {
  const service = findOwn(context, registry);
  if (service !== undefined) return service;
  throw new MeshError("not-found", "REGISTRY_UNKNOWN_SERVICE", `unknown service ID: ${idOf(context)}`);
}

function agentChecks(context: Context, registry: Registry): object {
  const out: Record<string, object> = Object.create(null);
  const namespace = readableNamespaceOf(context);
  const node = registry.catalog.node(registry.nodeName);
  if (node === undefined) return out;
  if ([DEFAULT_NAMESPACE, "*"].includes(namespace)) {
    for (const [id, check] of node.checks) out[id] = checkShape(check, node, undefined);
  }
  for (const service of ownServices(context, registry)) {
    for (const [id, check] of service.checks) out[id] = checkShape(check, node, service);
  }
  return out;
}

function healthOf(service: ServiceState, registry: Registry): object {
  return {
    AggregatedStatus: serviceHealth(service),
    Service: agentServiceShape(service, registry.datacenter),
    Checks: [...service.checks.values()].map((check) => checkShape(check, service.node, service)),
  };
}

/** The status code says the health, for load balancers that look at nothing else. */
function healthAnswer(
  context: Context,
  health: ReturnType<typeof serviceHealth> | undefined,
  shape: unknown,
): Response {
  const status = health === undefined ? 404 : health === "passing" ? 200 : health === "warning" ? 429 : 503;
  const wantsText = context.req.query("format") === "text" || context.req.header("accept") === "text/plain";
  if (health === undefined) return context.text("no such service", status);
  return wantsText ? context.text(health, status) : json(context, shape, status);
}

function memberShape({ catalog, nodeName, datacenter }: Registry, version: string): object {
  return {
    Name: nodeName,
    Addr: catalog.node(nodeName)?.definition.address ?? "",
    Port: 8301,
    Tags: { role: "consul", dc: datacenter, build: version },
    Status: 1,
    ProtocolMin: 1,
    ProtocolMax: 5,
    ProtocolCur: 2,
    DelegateMin: 2,
    DelegateMax: 5,
    DelegateCur: 4,
  };
}

function selfShape(registry: Registry, version: string): object {
  const node = registry.catalog.node(registry.nodeName);
  return {
    Config: {
      Datacenter: registry.datacenter,
      PrimaryDatacenter: registry.datacenter,
      NodeName: registry.nodeName,
      NodeID: node?.definition.id ?? "",
      Revision: "",
      Server: true,
      Version: version,
    },
    Member: memberShape(registry, version),
    Meta: node?.definition.meta ?? {},
  };
}
