import {
  GATEWAY_API_GROUP,
  isListenerSetParent,
  isMeshParent,
  type MeshObject,
  type ParentReference,
} from "@tulle/api";
import type { MeshReader } from "../contract.js";
import { GRPC_ROUTE, HTTP_ROUTE, K8S_GATEWAY, LISTENER_SET, TCP_ROUTE, TLS_ROUTE } from "../kinds.js";
import type { MeshPort } from "../mesh-service.js";
import { resolveHost } from "../services.js";
import { Translation, type KindRef } from "../translation.js";
import { virtualServiceFor } from "../virtual-services.js";
import { byAge } from "../visibility.js";
import { detached, isOurs, type K8sGateway } from "./gateways.js";
import { heldListeners, isParent, isSetOf, type ListenerHolder, type ListenerSet } from "./listener-sets.js";
import { l4Problems } from "./l4-routes.js";
import { isPort, parentHosts, routesIn, type Frontend } from "./parents.js";
import type { RefProblem, RuleProblem } from "./problems.js";
import { canExistAlone, frontendOf } from "./routed-frontend.js";
import { canRoute, ROUTE_KINDS, type RouteObject } from "./route-kinds.js";
import { convertedRules } from "./service-routes.js";

/** A condition of Gateway API, without its times. */
export interface RouteCondition {
  readonly type: "Accepted" | "ResolvedRefs" | "PartiallyInvalid";
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

/** How a route stands to one of its parents. */
export interface RouteParent {
  /** With the defaults of what was left out. */
  readonly parentRef: ParentReference;
  readonly conditions: readonly RouteCondition[];
}

/** Texts that one message lists. */
const MAX_LISTED = 5;
/** Port that callers name when they name none; only redirects look at it here. */
const ANY_PORT = 80;

/**
 * How a route stands to each parent that the mesh serves, as clients of the route's namespace see it. Undefined for
 * objects that are no routes.
 */
export function routeParents(reader: MeshReader, object: MeshObject): readonly RouteParent[] | undefined {
  const kind = ROUTE_KINDS.find((each) => each.kind === object.kind);
  if (kind === undefined || !object.apiVersion.startsWith(`${GATEWAY_API_GROUP}/`)) return undefined;
  // The kind's check has accepted it.
  const route = object as RouteObject;
  const { namespace } = route.metadata;
  const t = new Translation(reader, { dialect: "tulle", namespace, mtls: true, labels: {}, inbound: [] });
  const parents = (route.spec.parentRefs ?? []).filter(
    (parent) => isMeshParent(parent) || holderOf(t, parent, namespace) !== undefined,
  );
  if (parents.length === 0) return [];
  const { refs, rules, count } = problemsOf(t, route);
  return parents.map((parent) => {
    const { group = GATEWAY_API_GROUP, kind: parentKind = "Gateway" } = parent;
    const held = holderOf(t, parent, namespace);
    const conditions = [
      held === undefined
        ? accepted(t, kind, route, parent, rules, count)
        : attached(t, held, route, parent, rules, count),
      resolvedRefs(refs),
    ];
    if (conditions[0]?.status === "True" && rules.size > 0) conditions.push(partiallyInvalid(rules));
    return { parentRef: { ...parent, group, kind: parentKind }, conditions };
  });
}

/** A Gateway of ours, or what adds listeners to one. */
interface Holder {
  readonly gateway: K8sGateway;
  readonly holder: ListenerHolder;
}

/** The Gateway of ours that a parent names, or whose ListenerSet it names; undefined when there is none such. */
function holderOf(t: Translation, parent: ParentReference, namespace: string): Holder | undefined {
  const gateways = t.objects<K8sGateway["spec"]>(K8S_GATEWAY).filter((gateway) => isOurs(t, gateway));
  const gateway = gateways.find((one) => isParent(parent, namespace, one));
  if (gateway !== undefined) return { gateway, holder: gateway };
  if (!isListenerSetParent(parent)) return undefined;
  const set = t.objects<ListenerSet["spec"]>(LISTENER_SET).find((one) => isParent(parent, namespace, one));
  const parentOfSet = set && gateways.find((one) => isSetOf(set, one));
  return set && parentOfSet && { gateway: parentOfSet, holder: set };
}

/** How a route stands to a Gateway or a ListenerSet: it is well with one listener that takes it. */
function attached(
  t: Translation,
  { gateway, holder }: Holder,
  route: RouteObject,
  parent: ParentReference,
  broken: BrokenRules,
  count: number,
): RouteCondition {
  const type = "Accepted";
  const tried = heldListeners(t, gateway)
    .filter((held) => held.holder === holder)
    .map(({ listener }) => ({ listener, why: detached(t, holder, listener, route, parent) }));
  const taken = tried.filter(({ why }) => why === undefined).map(({ listener }) => listener.name);
  if (taken.length === 0) {
    // Of several reasons the one that is nearest to success.
    const [nearest] = DETACHED_REASONS.flatMap((reason) => tried.filter(({ why }) => why?.reason === reason));
    const { reason = "NoMatchingParent", message = `the ${holder.kind} has no such listener` } =
      nearest?.why ?? {};
    return { type, status: "False", reason, message };
  }
  const problems = [...broken.values()].flat();
  const [first] = problems;
  if (first !== undefined && broken.size === count) {
    return {
      type,
      status: "False",
      reason: first.reason,
      message: listed(problems.map(({ message }) => message)),
    };
  }
  return { type, status: "True", reason: type, message: `the route holds at the listeners ${listed(taken)}` };
}

const DETACHED_REASONS = ["NoMatchingListenerHostname", "NotAllowedByListeners", "NoMatchingParent"] as const;

/** What is wrong with a route's rules, by their index. */
type BrokenRules = ReadonlyMap<number, readonly RuleProblem[]>;

function problemsOf(
  t: Translation,
  route: RouteObject,
): { readonly refs: readonly RefProblem[]; readonly rules: BrokenRules; readonly count: number } {
  const converted = convertedRules(t, route, ANY_PORT);
  const rules = new Map<number, readonly RuleProblem[]>();
  converted.forEach(({ problems }, index) => {
    if (problems.rule.length > 0) rules.set(index, problems.rule);
  });
  const refs = [...converted.flatMap(({ problems }) => problems.refs), ...l4Problems(t, route)];
  return { refs, rules, count: converted.length };
}

function accepted(
  t: Translation,
  kind: KindRef,
  route: RouteObject,
  parent: ParentReference,
  broken: BrokenRules,
  count: number,
): RouteCondition {
  const type = "Accepted";
  const refuse = (reason: string, message: string): RouteCondition => ({
    type,
    status: "False",
    reason,
    message,
  });
  const { namespace } = route.metadata;
  const hosts = parentHosts(t, parent, namespace);
  const services = hosts.flatMap((host) => resolveHost(t, host, namespace).service ?? []);
  const alone = services.length === 0 && canExistAlone(parent) ? hosts : [];
  if (services.length === 0 && alone.length === 0) {
    const what = hosts.length > 0 ? hosts.join(", ") : `ServiceEntry ${parent.name}`;
    return refuse("NoMatchingParent", `nobody has registered ${what}`);
  }
  const frontends = services.flatMap((service): Frontend[] =>
    service.ports
      .map((port) => ({
        host: service.host,
        service,
        port,
        listenerPort: service.portless ? (parent.port ?? port.number) : port.number,
      }))
      .filter((frontend) => isPort(parent, frontend)),
  );
  for (const host of alone) frontends.push(...aloneAt(t, host, parent));
  if (frontends.length === 0) {
    const port = [parent.port, parent.sectionName].filter((part) => part !== undefined).join(" ");
    return refuse("NoMatchingParent", `${hosts.join(", ")} has no port ${port}`);
  }
  const fitting = frontends.filter(({ port }) => canRoute(kind, port));
  if (fitting.length === 0) {
    return refuse("UnsupportedProtocol", frontends.map(({ port }) => misfit(kind, port)).join("; "));
  }
  const rivals = fitting.map((frontend) => rivalOf(t, kind, route, frontend));
  if (rivals.every((rival) => rival !== undefined)) {
    return refuse("Conflicted", listed([...new Set(rivals)]));
  }
  const [first] = [...broken.values()].flat();
  if (first !== undefined && broken.size === count) {
    return refuse(first.reason, listed([...broken.values()].flat().map(({ message }) => message)));
  }
  const ports = fitting.map(({ host, listenerPort }) => `${host}:${listenerPort}`);
  const isProducer = fitting.some(({ service }) => service.namespace === namespace);
  const clients = isProducer ? "every namespace" : `namespace ${namespace}`;
  const byRoute = alone.length > 0 ? ", which nobody has registered: it exists by its routes alone" : "";
  const message = `the route holds for calls from ${clients} to ${listed(ports)}${byRoute}`;
  return { type, status: "True", reason: type, message };
}

/** A parent that exists by its routes. */
function aloneAt(t: Translation, host: string, { port = ANY_PORT }: ParentReference): Frontend[] {
  const frontend = frontendOf(t, host, port);
  return frontend === undefined ? [] : [frontend];
}

function misfit(kind: KindRef, { number, protocol }: MeshPort): string {
  return `port ${number} carries ${protocol}, where a ${kind.kind} means nothing`;
}

/** What holds for calls to a frontend instead of the route; undefined when nothing does. */
function rivalOf(t: Translation, kind: KindRef, route: RouteObject, frontend: Frontend): string | undefined {
  const { namespace, name } = route.metadata;
  const rules = virtualServiceFor(t, frontend.host);
  if (rules !== undefined && (rules.spec[protocolOf(kind)] ?? []).length > 0) {
    return `VirtualService ${rules.metadata.namespace}/${rules.metadata.name} rules the same host`;
  }
  for (const other of ROUTE_KINDS) {
    if (other === kind) break;
    const [rival] = canRoute(other, frontend.port) ? routesIn(t, other, namespace, frontend) : [];
    if (rival !== undefined) return `${other.kind} ${rival.metadata.name} is of a more specific kind`;
  }
  if (kind !== TCP_ROUTE) return undefined;
  const [oldest] = [...routesIn(t, kind, namespace, frontend)].sort(byAge);
  const isOldest = oldest === undefined || oldest.metadata.name === name;
  return isOldest ? undefined : `TCPRoute ${oldest.metadata.name} is older`;
}

/** The rules of a VirtualService that stand against a kind of routes. */
function protocolOf(kind: KindRef): "http" | "tls" | "tcp" {
  if (kind === HTTP_ROUTE || kind === GRPC_ROUTE) return "http";
  return kind === TLS_ROUTE ? "tls" : "tcp";
}

function resolvedRefs(problems: readonly RefProblem[]): RouteCondition {
  const type = "ResolvedRefs";
  const [first] = problems;
  if (first === undefined) {
    return { type, status: "True", reason: type, message: "all references lead somewhere" };
  }
  const message = listed([...new Set(problems.map((problem) => problem.message))]);
  return { type, status: "False", reason: first.reason, message };
}

function partiallyInvalid(broken: BrokenRules): RouteCondition {
  const texts = [...broken].flatMap(([index, problems]) =>
    problems.map(({ message }) => `${index} (${message})`),
  );
  return {
    type: "PartiallyInvalid",
    status: "True",
    reason: [...broken.values()][0]?.[0]?.reason ?? "UnsupportedValue",
    message: `Dropped Rule ${listed(texts)}`,
  };
}

function listed(texts: readonly string[]): string {
  const shown = texts.slice(0, MAX_LISTED).join("; ");
  return texts.length > MAX_LISTED ? `${shown}; and ${texts.length - MAX_LISTED} more` : shown;
}
