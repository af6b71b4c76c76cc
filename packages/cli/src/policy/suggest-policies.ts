import type {
  AuthorizationOperation,
  AuthorizationPolicySpec,
  AuthorizationRule,
  ProxyTraffic,
  TrafficEdge,
} from "@tulle/api";
import { authorizationPolicy, type WrittenPolicy } from "./policy-object.js";

/** Paths of one operation; with more of them they are taken together by what they begin with. */
const MAX_PATHS = 32;
const SPIFFE = "spiffe://";

export interface SuggestOptions {
  /** Only of this namespace. */
  readonly namespace?: string | undefined;
  /** Only of this service. */
  readonly service?: string | undefined;
  readonly dryRun: boolean;
}

/**
 * For each service a policy that allows what was observed and nothing else that differs from it: its callers, with methods
 * and paths of their requests. Denies nothing of the traffic that it was made from.
 */
export function suggestPolicies(
  traffic: readonly ProxyTraffic[],
  { namespace, service, dryRun }: SuggestOptions,
): readonly WrittenPolicy<AuthorizationPolicySpec>[] {
  const byService = new Map<string, TrafficEdge[]>();
  for (const edge of traffic.flatMap(({ inbound }) => inbound)) {
    const edges = byService.get(edge.service);
    if (edges === undefined) byService.set(edge.service, [edge]);
    else edges.push(edge);
  }
  return [...byService]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .flatMap(([host, edges]) => {
      const [name = "", ofNamespace = ""] = host.split(".");
      if (namespace !== undefined && ofNamespace !== namespace) return [];
      if (service !== undefined && name !== service) return [];
      const spec: AuthorizationPolicySpec = {
        targetRefs: [{ kind: "Service", name }],
        action: "ALLOW",
        rules: rulesOf(edges),
      };
      return [authorizationPolicy(ofNamespace, suggestedName(name), spec, dryRun)];
    });
}

/** Name of the policy that is suggested for a service: always the same, so that a new one comes in place of the last. */
export function suggestedName(service: string): string {
  return `${service}-observed`;
}

function rulesOf(edges: readonly TrafficEdge[]): readonly AuthorizationRule[] {
  const carriesHttp = edges.some(({ requests }) => requests.length > 0);
  const bySource = new Map<string, TrafficEdge[]>();
  for (const edge of edges) bySource.set(edge.source, [...(bySource.get(edge.source) ?? []), edge]);
  const rules = new Map<string, { readonly to: Destination; readonly principals: string[] }>();
  const plain: AuthorizationRule[] = [];
  for (const [source, own] of [...bySource].sort(([left], [right]) => (left < right ? -1 : 1))) {
    const to = destinationOf(own, carriesHttp);
    if (source === "") {
      // Who has no certificate is nobody in particular.
      plain.push({ from: [{ source: { notPrincipals: ["*"] } }], ...to });
      continue;
    }
    const principal = source.startsWith(SPIFFE) ? source.slice(SPIFFE.length) : source;
    const key = JSON.stringify(to);
    const same = rules.get(key);
    if (same === undefined) rules.set(key, { to, principals: [principal] });
    else same.principals.push(principal);
  }
  return [
    ...[...rules.values()].map(({ to, principals }) => ({ from: [{ source: { principals } }], ...to })),
    ...plain,
  ];
}

type Destination = Pick<AuthorizationRule, "to">;

/**
 * What one caller did. Ports are those where applications listen, which may be others tomorrow: they are told only where
 * bytes must be kept apart from requests.
 */
function destinationOf(edges: readonly TrafficEdge[], carriesHttp: boolean): Destination {
  const connected = edges.filter(({ connections }) => connections > 0);
  if (connected.length > 0 && !carriesHttp) return {};
  const ports = [...new Set(connected.map(({ port }) => String(port)))].sort();
  const operations = [...(ports.length === 0 ? [] : [{ ports }]), ...requestsOf(edges)];
  return { to: operations.map((operation) => ({ operation })) };
}

/** In as few operations as say it exactly: methods that have their paths in common are one. */
function requestsOf(edges: readonly TrafficEdge[]): readonly AuthorizationOperation[] {
  const operations = new Map<string, { readonly paths: readonly string[]; readonly methods: string[] }>();
  for (const [method, observed] of pathsByMethod(edges)) {
    const paths = fewer(observed);
    const key = JSON.stringify(paths);
    const same = operations.get(key);
    if (same === undefined) operations.set(key, { paths, methods: [method] });
    else same.methods.push(method);
  }
  return [...operations.values()].map(({ paths, methods }) => {
    // A star is no method's own name in a policy.
    const named = methods.some((method) => method.includes("*")) ? {} : { methods: methods.sort() };
    const said = { ...named, ...(paths.length === 0 ? {} : { paths }) };
    // Any path and no method's name: an operation must say something.
    return Object.keys(said).length === 0 ? { paths: ["*"] } : said;
  });
}

function pathsByMethod(edges: readonly TrafficEdge[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, Set<string>>();
  for (const { method, path } of edges.flatMap(({ requests }) => requests)) {
    const paths = found.get(method) ?? new Set<string>();
    found.set(method, paths.add(path));
  }
  return new Map([...found].map(([method, paths]) => [method, [...paths].sort()]));
}
/** The paths, or wider ones where there are too many; empty = any. */
function fewer(paths: readonly string[]): readonly string[] {
  if (paths.includes("")) return [];
  if (paths.length <= MAX_PATHS) return paths;
  const wide = new Set(
    paths.map((path) => {
      const slash = path.indexOf("/", 1);
      return slash === -1 ? path : `${path.slice(0, slash)}/{**}`;
    }),
  );
  return wide.size <= MAX_PATHS ? [...wide].sort() : [];
}
