import { NO_LIMIT } from "./circuit-breakers.js";
import type { ClusterPart, EndpointPart, WorkloadLabels } from "./contract.js";
import type { SlotTable } from "../load/load-table.js";
import type { AssignedEndpoint, Assignment } from "./assignment.js";
import type { ClusterSettings } from "./cluster-settings.js";
import { invalid } from "./invalid.js";
import { equalJson } from "./metadata.js";
import { LinkedCluster } from "./linked-cluster.js";

/** Joins clusters with their endpoints and holds their slots in the load table. */
export class ClusterLinker {
  readonly #load: SlotTable;

  constructor(load: SlotTable) {
    this.#load = load;
  }

  /**
   * A cluster over an assignment. Endpoints that are as they were in `previous` stay the same objects. Throws, and
   * holds nothing, when the load table is full.
   */
  link(
    settings: ClusterSettings,
    assignment: Assignment,
    warm: boolean,
    previous: LinkedCluster | undefined,
  ): LinkedCluster {
    const before = new Map(previous?.endpoints.map((endpoint) => [endpoint.key, endpoint]));
    const taken: number[] = [];
    try {
      const slot = this.#acquire(`cluster:${settings.name}`, taken);
      const endpoints = assignment.endpoints.map((assigned) =>
        endpointPart(assigned, this.#acquire(assigned.key, taken), settings, before.get(assigned.key)),
      );
      const newcomers = newcomersOf(endpoints, previous, before);
      const high =
        settings.high &&
        new LinkedCluster(
          { ...settings, ...settings.high, high: undefined },
          this.#acquire(`cluster:${settings.name}|high`, taken),
          assignment,
          endpoints,
          warm,
          newcomers,
          undefined,
          this.#poolsOf(settings.name, settings.high, "|high", taken),
        );
      const pools = this.#poolsOf(settings.name, settings, "", taken);
      return new LinkedCluster(settings, slot, assignment, endpoints, warm, newcomers, high, pools);
    } catch (thrown) {
      for (const slot of taken) this.#load.release(slot);
      throw thrown;
    }
  }

  /** Gives the slots of a cluster back. */
  unlink(cluster: LinkedCluster): void {
    this.#load.release(cluster.slot);
    if (cluster.high !== undefined) this.#load.release(cluster.high.slot);
    for (const pools of [cluster.pools, cluster.high?.pools])
      if (pools !== undefined) this.#load.release(pools.slot);
    for (const endpoint of cluster.endpoints) this.#load.release(endpoint.slot);
  }

  /** Pools have a slot of their own where there is a limit: they are counted on it as connections. */
  #poolsOf(
    name: string,
    { maxConnectionPools: max }: Pick<ClusterSettings, "maxConnectionPools">,
    suffix: string,
    taken: number[],
  ): ClusterPart["pools"] {
    if (max >= NO_LIMIT) return undefined;
    return { max, slot: this.#acquire(`cluster:${name}${suffix}|pools`, taken) };
  }

  #acquire(identity: string, taken: number[]): number {
    const slot = this.#load.acquire(identity);
    if (slot < 0)
      throw invalid("endpoints", "the load table is full: raise maxSlots or subscribe to fewer clusters");
    taken.push(slot);
    return slot;
  }
}

/**
 * The slots of endpoints that a cluster gets after its first: of the first set all are equally cold. Who was new before
 * and has not had a request since still is.
 */
function newcomersOf(
  endpoints: readonly EndpointPart[],
  previous: LinkedCluster | undefined,
  before: ReadonlyMap<string, EndpointPart>,
): ReadonlySet<number> {
  if (previous === undefined || !previous.warm) return NOBODY;
  const { newcomers } = previous.balance;
  const found = endpoints.filter(({ key, slot }) => before.get(key)?.slot !== slot || newcomers.has(slot));
  return found.length === 0 ? NOBODY : new Set(found.map(({ slot }) => slot));
}

const NOBODY: ReadonlySet<number> = new Set();

function endpointPart(
  assigned: AssignedEndpoint,
  slot: number,
  settings: ClusterSettings,
  before: EndpointPart | undefined,
): EndpointPart {
  const { tls, proxyProtocol, proxyTlvs } = settings.transport.of(assigned.transportMatch);
  const http2 = settings.http2 && tls === undefined;
  const asClient = settings.httpAsClient && tls === undefined;
  const healthy = assigned.health === "healthy";
  if (
    before !== undefined &&
    before.slot === slot &&
    before.tls?.key === tls?.key &&
    before.http2 === http2 &&
    before.proxyProtocol === proxyProtocol &&
    before.proxyTlvs?.key === proxyTlvs?.key &&
    before.perClient === settings.perClient &&
    (before.overHttp2 !== undefined) === asClient &&
    before.hostname === assigned.hostname &&
    before.weight === assigned.weight &&
    before.healthy === healthy &&
    equalJson(before.labels ?? null, assigned.labels ?? null) &&
    equalLabels(before.workload, assigned.workload)
  ) {
    return before;
  }
  const { key, host, port, hostname, weight, labels, workload } = assigned;
  const part = {
    key,
    host,
    port,
    hostname,
    tls,
    http2,
    proxyProtocol,
    proxyTlvs,
    perClient: settings.perClient,
    slot,
    weight,
    healthy,
    labels,
    workload,
    overHttp2: undefined,
  };
  return asClient ? { ...part, overHttp2: { ...part, http2: true } } : part;
}

function equalLabels(left: WorkloadLabels | undefined, right: WorkloadLabels | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return (
    left.workload === right.workload &&
    left.namespace === right.namespace &&
    left.canonicalName === right.canonicalName &&
    left.canonicalRevision === right.canonicalRevision
  );
}
