import { ALL_NAMESPACES, type AccessAction, type Caller } from "@tulle/api";
import { MeshError } from "@tulle/base";
import type { Context } from "hono";
import {
  DEFAULT_NAMESPACE,
  isAsking,
  type CheckDefinition,
  type ServiceDefinition,
} from "../../definition.js";
import { accountOf } from "../../instance.js";
import type { Registry } from "../../registry.js";
import { serviceKey, type ServiceState } from "../../state.js";

/** The environment of a request, as whoever passes it on to Consul's API fills it. */
export interface ConsulEnv {
  readonly Bindings: { readonly caller: Caller };
}

/** Who makes a request. One that comes without may do nothing. */
function callerOf(context: Context): Caller {
  const { caller } = (context.env ?? {}) as Partial<ConsulEnv["Bindings"]>;
  if (caller !== undefined) return caller;
  throw new MeshError("denied", "REGISTRY_NO_CALLER", "nobody knows who calls");
}

/**
 * `?ns=`, by default the caller's one namespace, as Consul infers it from the token; `*` means all, where a list is asked
 * for. Nothing is asked about rights yet.
 */
export function namespaceOf(context: Context): string {
  const stated = context.req.query("ns");
  if (stated !== undefined && stated !== "") return stated;
  const { namespaces } = callerOf(context).subject;
  const [only] = namespaces === ALL_NAMESPACES ? [] : namespaces;
  return only !== undefined && namespaces.length === 1 ? only : DEFAULT_NAMESPACE;
}

/** As {@link namespaceOf}, for what is read there: refuses callers that may not. */
export function readableNamespaceOf(context: Context): string {
  const namespace = namespaceOf(context);
  require(context, { verb: "read", namespace });
  return namespace;
}

/** For what tells nothing of services: the version, the leader. */
export function requireDiscovery(context: Context): void {
  callerOf(context).require({ verb: "read", kind: "discovery", namespace: ALL_NAMESPACES });
}

/** For nodes, which are of no namespace. */
export function requireNodes(context: Context, verb: "read" | "write", node = ""): void {
  require(context, { verb, namespace: ALL_NAMESPACES, ...(node === "" ? {} : { object: `node/${node}` }) });
}

/** For a registration: what it claims to be, and what was claimed by the one with its id, which it replaces. */
export function requireRegistration(
  context: Context,
  registry: Registry,
  service: ServiceDefinition,
  checks: readonly CheckDefinition[],
): void {
  const replaced = ownService(registry, service.namespace, service.id);
  const claims = [service, ...(replaced === undefined ? [] : [replaced.definition])].flatMap(claimsOf);
  require(context, {
    verb: "write",
    namespace: service.namespace,
    object: `service/${service.id}`,
    claims: [...new Set(claims)],
  });
  for (const check of checks) refuseForeignTarget(context, service, check);
}

/** For a change to what is registered under an id at the own node. What is not there is nobody's. */
export function requireOwnService(context: Context, registry: Registry, namespace: string, id: string): void {
  requireServices(context, namespace, `service/${id}`, ownService(registry, namespace, id));
}

/** As {@link requireOwnService}, for one of its checks. */
export function requireOwnCheck(context: Context, registry: Registry, namespace: string, id: string): void {
  const node = registry.catalog.node(registry.nodeName);
  if (namespace === DEFAULT_NAMESPACE && node?.checks.has(id) === true) {
    requireNodes(context, "write", registry.nodeName);
    return;
  }
  const services = [...(node?.services.values() ?? [])].filter(
    ({ definition, checks }) => definition.namespace === namespace && checks.has(id),
  );
  requireServices(context, namespace, `check/${id}`, ...services);
}

/** For a check that is added to what is registered already, or to the own node. */
export function requireNewCheck(context: Context, registry: Registry, check: CheckDefinition): void {
  const { namespace, serviceId, id } = check;
  if (serviceId === "") return requireNodes(context, "write", registry.nodeName);
  requireOwnService(context, registry, namespace, serviceId);
  requireOwnCheck(context, registry, namespace, id);
  const service = ownService(registry, namespace, serviceId);
  if (service !== undefined) refuseForeignTarget(context, service.definition, check);
}

function requireServices(
  context: Context,
  namespace: string,
  object: string,
  ...services: readonly (ServiceState | undefined)[]
): void {
  const { subject } = callerOf(context);
  const claims = services.flatMap((service) =>
    service === undefined ? [] : [accountOf(service.definition)],
  );
  // The caller may know its namespace: that the id is not there is then said by 404.
  const absent = subject.serviceAccount === undefined ? [] : [subject.serviceAccount];
  require(context, { verb: "write", namespace, object, claims: claims.length === 0 ? absent : claims });
}

function require(context: Context, action: Omit<AccessAction, "kind">): void {
  callerOf(context).require({ kind: "registration", ...action });
}

/** A service's name and account: a workload that took another's name would be sent its requests. */
function claimsOf(service: ServiceDefinition): readonly string[] {
  return [service.name.toLowerCase(), accountOf(service)];
}

function ownService(registry: Registry, namespace: string, id: string): ServiceState | undefined {
  return registry.catalog.node(registry.nodeName)?.services.get(serviceKey(namespace, id));
}

/** The control plane asks on a workload's behalf: only the workload itself may be asked, not what else it can reach. */
function refuseForeignTarget(context: Context, service: ServiceDefinition, { probe }: CheckDefinition): void {
  if (callerOf(context).subject.role !== "workload") return;
  if (!isAsking(probe)) return;
  const host = probe.kind === "http" ? hostOf(probe.url) : probe.host;
  const own = [service.address, ...Object.values(service.taggedAddresses).map(({ address }) => address)];
  if (own.some((address) => address !== "" && address.toLowerCase() === host)) return;
  throw new MeshError(
    "denied",
    "REGISTRY_CHECK_TARGET",
    "a workload's checks may ask its own addresses only: those of its registration",
  );
}

function hostOf(url: string): string {
  try {
    return new URL(url).hostname.replace(/^\[|\]$/g, "");
  } catch {
    return "";
  }
}
