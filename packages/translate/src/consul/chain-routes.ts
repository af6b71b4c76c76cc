import { parseDuration } from "@tulle/base";
import type {
  ConsulRouteDestination,
  Destination,
  HttpRetry,
  HttpRouteDestination,
  MeshObject,
} from "@tulle/api";
import { fullHost, isSameService, type ServiceId } from "../hosts.js";
import type { OwnedRule, RouteRule } from "../routes/rule.js";
import { resolveHost } from "../services.js";
import { mayUseRules } from "../sidecar-scope.js";
import type { Translation } from "../translation.js";
import {
  chainOf,
  headersOf,
  resolvedTarget,
  type ChainPart,
  type ChainRoute,
  type ChainTarget,
  type Resolved,
} from "./chain.js";
import { entriesOf, serviceOfHost } from "./entries.js";
import { ruleMatch } from "./route-match.js";
import { some } from "./written-duration.js";

/** Weights are whole numbers: a split's step is a hundredth of a percent, and splits within splits divide further. */
const WEIGHT_SCALE = 10_000;

/**
 * The rules for requests to a host (in full) by Consul's entries; undefined when none is about it, or when all that they
 * lead to is a host that nobody has registered.
 */
export function chainRules(t: Translation, host: string): readonly OwnedRule[] | undefined {
  const id = serviceOfHost(t, host);
  if (id === undefined) return undefined;
  const { routes, entries, problems } = chainOf(t, id);
  if (routes.length === 0 || !mayUseRules(t, { namespace: id.namespace, hosts: [host] })) return undefined;
  const exists = routes.some(({ parts }) =>
    parts.some(({ target }) => [target, ...target.failover].some((one) => isRegistered(t, one.id))),
  );
  if (!exists) return undefined;
  for (const entry of entries) t.own(entry);
  for (const { object, path, message } of problems) {
    t.warnOf(
      "TUL0010",
      `${object.kind} ${object.metadata.namespace}/${object.metadata.name} ${path}: ${message}`,
    );
  }
  return routes.map((route) => ({ rule: ruleOf(t, route), object: route.owner, field: route.field }));
}

/**
 * Says of the entries about a host that something else holds instead of them: rules of both would have no order among
 * each other. Both show it in their status.
 */
export function warnOfOverruledChain(
  t: Translation,
  host: string,
  by: Pick<MeshObject, "kind"> & Partial<MeshObject>,
): void {
  const id = serviceOfHost(t, host);
  const { router, splitter, resolver } = id === undefined ? {} : entriesOf(t, id);
  const redirect = resolver?.spec.redirect === undefined ? undefined : resolver;
  const whose =
    by.metadata === undefined ? by.kind : `${by.kind} ${by.metadata.namespace}/${by.metadata.name}`;
  for (const owner of [router, splitter, redirect]) {
    if (owner === undefined) continue;
    t.own(owner);
    const { kind, metadata } = owner;
    t.warn(
      `${kind} ${metadata.namespace}/${metadata.name} does not route calls to ${host}: ${whose} is for the same host`,
    );
  }
}

/** Where calls to a service go whose port carries bytes; undefined where no entry says anything. */
export function chainDestination(t: Translation, host: string): Destination | undefined {
  const id = serviceOfHost(t, host);
  if (id === undefined) return undefined;
  const target = resolvedTarget(t, id);
  if (target.resolver === undefined && isSameService(target.id, id)) return undefined;
  if (target.resolver !== undefined) t.own(target.resolver);
  return destinationOf(t, target);
}

/** Who takes over for a service's subset by its resolver. */
export function chainFailover(t: Translation, id: ServiceId, subset: string): readonly ChainTarget[] {
  const { failover, resolver } = resolvedTarget(t, id, subset);
  if (resolver !== undefined && failover.length > 0) t.own(resolver);
  return failover;
}

function ruleOf(t: Translation, { written, parts }: ChainRoute): RouteRule {
  const destination = written?.destination ?? {};
  const headers = headersOf(destination);
  const [only] = parts;
  const timeout = some(destination.requestTimeout) ?? timeoutOf(parts);
  const idle = parseDuration(some(destination.idleTimeout) ?? "");
  const retries = retriesOf(destination);
  return {
    ...(written?.match?.http !== undefined && { match: [ruleMatch(written.match.http)] }),
    route:
      parts.length === 1 && only !== undefined
        ? [partOf(t, only, false)]
        : parts.map((part) => partOf(t, part, true)),
    ...(headers !== undefined && { headers }),
    ...(destination.prefixRewrite !== undefined && { rewrite: { uri: destination.prefixRewrite } }),
    ...(timeout !== undefined && { timeout }),
    ...(idle !== undefined && { times: { request: undefined, response: undefined, idle } }),
    ...(retries !== undefined && { retries }),
  };
}

function partOf(
  t: Translation,
  { weight, headers, target }: ChainPart,
  weighted: boolean,
): HttpRouteDestination {
  return {
    destination: destinationOf(t, target),
    ...(weighted && { weight: Math.round(weight * WEIGHT_SCALE) }),
    ...(headers !== undefined && { headers }),
  };
}

/** The target, or the first to take over for it that exists: nobody is left of a service without instances. */
function destinationOf(t: Translation, target: Resolved): Destination {
  const first = [target, ...target.failover].find(({ id }) => isRegistered(t, id)) ?? target;
  return {
    host: fullHost(first.id, t.settings.domainSuffix),
    ...(first.subset !== "" && { subset: first.subset }),
  };
}

function isRegistered(t: Translation, id: ServiceId): boolean {
  return resolveHost(t, fullHost(id, t.settings.domainSuffix), id.namespace).service !== undefined;
}

/** Of several resolvers none speaks for the whole. */
function timeoutOf(parts: readonly ChainPart[]): string | undefined {
  return parts.length === 1 ? some(parts[0]?.target.resolver?.spec.requestTimeout) : undefined;
}

/** The conditions as Consul joins them. Without a number there is one retry; without conditions the mesh's hold. */
function retriesOf(destination: ConsulRouteDestination): HttpRetry | undefined {
  const { numRetries = 0, retryOnConnectFailure, retryOn = [], retryOnStatusCodes = [] } = destination;
  const conditions = [
    ...retryOn,
    ...(retryOnConnectFailure === true && !retryOn.includes("connect-failure") ? ["connect-failure"] : []),
    ...retryOnStatusCodes.map(String),
  ];
  if (numRetries === 0 && conditions.length === 0) return undefined;
  return {
    attempts: numRetries === 0 ? 1 : numRetries,
    ...(conditions.length > 0 && { retryOn: conditions.join(",") }),
  };
}
