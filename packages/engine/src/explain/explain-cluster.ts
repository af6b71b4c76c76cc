import {
  UNHEALTHY_CHECK,
  UNHEALTHY_DEGRADED,
  UNHEALTHY_EJECTED,
  UNHEALTHY_PROBATION,
  type DecisionView,
  type EngineRequest,
  type LoadTable,
  type Plan,
} from "../contract.js";
import { affinityOf } from "../affinity/affinity-of.js";
import { mix } from "../entropy.js";
import { healthOf } from "../outlier/health.js";
import { leavesOf } from "../pick/aggregate.js";
import { pick } from "../pick/pick.js";
import type { ClusterPart, EndpointPart } from "../snapshot/contract.js";
import type { ExplainedCluster, ExplainedEndpoint, Owner } from "./contract.js";
import { FrozenLoad } from "./frozen-load.js";
import { ownerOf } from "./owner.js";

/** Endpoints that are listed, at most. */
const MAX_ENDPOINTS = 200;
/** Other requests that are decided to see how they would be shared out. */
const SAMPLES = 4096;

export function explainCluster(
  cluster: ClusterPart,
  load: LoadTable,
  locate: ((owner: Owner) => string | undefined) | undefined,
): ExplainedCluster {
  const owner = ownerOf(cluster.provenance, locate);
  const known = cluster.slot >= 0;
  return {
    name: cluster.name,
    host: cluster.serviceHost,
    port: cluster.servicePort,
    subset: cluster.subset,
    known: cluster.warm,
    ...(owner === undefined ? {} : { owner }),
    connectTimeoutMs: cluster.connectTimeoutMs,
    inFlight: known ? load.clusterInFlight(cluster.slot) : 0,
    maxRequests: cluster.maxRequests,
    connections: known ? load.connections(cluster.slot) : 0,
    maxConnections: cluster.maxConnections,
    pending: known ? load.pending(cluster.slot) : 0,
    maxPendingRequests: cluster.maxPendingRequests,
    retriesInFlight: known ? load.retriesInFlight(cluster.slot) : 0,
    maxRetries: cluster.maxRetries,
  };
}

/** The endpoints of a plan's cluster, the chosen one among them, with how requests are shared out at this moment. */
export function explainEndpoints(
  view: DecisionView,
  plan: Plan,
  request: EngineRequest | undefined,
  chosen: EndpointPart | undefined,
): readonly ExplainedEndpoint[] {
  const endpoints = endpointsOf(view, plan);
  if (endpoints.length === 0) return [];
  const shares = sharesOf(view, plan, request);
  const listed = endpoints.slice(0, MAX_ENDPOINTS);
  if (chosen !== undefined && !listed.some(({ slot }) => slot === chosen.slot))
    listed[listed.length - 1] = chosen;
  return listed.map((endpoint) => ({
    address: endpoint.key,
    health: healthWords(endpoint, view.load),
    ...ejectionOf(endpoint, view.load),
    weight: endpoint.weight,
    inFlight: view.load.inFlight(endpoint.slot),
    mutualTls: endpoint.tls?.kind === "mesh",
    ...(endpoint.tls?.kind === "originated" && { originatedTls: true as const }),
    ...(endpoint.workload === undefined ? {} : { workload: endpoint.workload }),
    share: shares.get(endpoint.slot) ?? 0,
    chosen: endpoint.slot === chosen?.slot,
  }));
}

/** Those of a plan's cluster; of an aggregate those of all of its members. */
export function endpointsOf({ snapshot }: DecisionView, { cluster }: Plan): readonly EndpointPart[] {
  const present = snapshot.cluster(cluster.name) ?? cluster;
  if (present.members.length === 0) return present.endpoints;
  return leavesOf(snapshot, present).flatMap(({ endpoints }) => endpoints);
}

/** By slot, the share of requests like this one with other ids. Decides them all, so it holds for every balancer. */
function sharesOf(
  view: DecisionView,
  plan: Plan,
  request: EngineRequest | undefined,
): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  const load = new FrozenLoad(view.load);
  const { snapshot, now } = view;
  const endpoints = endpointsOf(view, plan);
  const samples = endpoints.length === 1 ? 1 : SAMPLES;
  for (let sample = 0; sample < samples; sample++) {
    const other = { snapshot, load, now, entropy: mix(sample, 0) };
    const affinity = affinityOf(other, plan, request, "");
    const picked = pick(other, plan, { attempts: 0, triedSlots: [], affinity });
    if (!("kind" in picked)) counts.set(picked.slot, (counts.get(picked.slot) ?? 0) + 1);
  }
  return new Map([...counts].map(([slot, count]) => [slot, count / samples]));
}

function ejectionOf({ slot }: EndpointPart, load: LoadTable): Pick<ExplainedEndpoint, "ejection"> {
  const {
    ejected,
    ejectedFor = "",
    ejectedAtMs: atMs,
    ejectedUntilMs: untilMs,
    ejections,
  } = healthOf(load, slot);
  return ejected ? { ejection: { reason: ejectedFor, atMs, untilMs, ejections } } : {};
}

function healthWords({ healthy, slot }: EndpointPart, load: LoadTable): readonly string[] {
  const bits = load.unhealthy(slot);
  const health: string[] = [];
  if (!healthy) health.push("unhealthy");
  if ((bits & UNHEALTHY_CHECK) !== 0) health.push("failing checks");
  if ((bits & UNHEALTHY_EJECTED) !== 0) health.push("ejected");
  if ((bits & UNHEALTHY_PROBATION) !== 0) health.push("on probation");
  if ((bits & UNHEALTHY_DEGRADED) !== 0) health.push("degraded");
  return health.length === 0 ? ["healthy"] : health;
}
