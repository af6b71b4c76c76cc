import type { Clock } from "@tulle/base";
import { pathClass } from "@tulle/engine";

import type { ExchangeRecord } from "../stream/exchange-record.js";
import type { TcpRecord } from "../tcp/contract.js";
import type { ObservationAction, ObservedEdge, TrafficReport } from "./contract.js";

/** Callers with what they call, kinds of requests of one of them, and all that is kept: more is only noted. */
const MAX_EDGES = 512;
const MAX_KINDS = 128;
const MAX_TOTAL = 2048;
/** Paths that are remembered with their class. */
const MAX_KNOWN = 512;
const MAX_CALLS = 1024;
const ANY = "";
/** Beginning of the details of what policies refuse. */
const REFUSED = "rbac_";

interface Edge {
  readonly source: string;
  readonly service: string;
  readonly port: number;
  /** Method and class of path, by method, a space and the class. */
  readonly kinds: Map<string, { readonly method: string; readonly path: string; count: number }>;
  connections: number;
}

/**
 * Notes who asks a workload for what, as long as somebody wants to know, and in bounded room. What policies refuse is not
 * noted: it is not to be allowed for having been tried.
 */
export class TrafficObserver {
  readonly #clock: Clock;
  readonly #edges = new Map<string, Edge>();
  readonly #calls = new Set<string>();
  readonly #classes = new Map<string, string>();
  #since = 0;
  #kinds = 0;
  #complete = true;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get on(): boolean {
    return this.#since > 0;
  }

  /** Tells what was noted; `stop` tells it for the last time. */
  act(action: ObservationAction): TrafficReport {
    if (action === "start" && !this.on) this.#since = this.#clock.now();
    const report = this.#report();
    if (action === "stop") this.#forget();
    return report;
  }

  request({ source, cluster, request, responseCodeDetails }: ExchangeRecord): void {
    if (cluster === undefined) return;
    if (source.direction === "outbound") {
      this.#call(cluster.serviceHost);
      return;
    }
    if (responseCodeDetails.startsWith(REFUSED)) return;
    const edge = this.#edge(source.peerSpiffeId, cluster.serviceHost, cluster.endpoints[0]?.port ?? 0);
    if (edge === undefined) return;
    const path = edge.kinds.size >= MAX_KINDS ? ANY : this.#classOf(request.path);
    const key = `${request.method} ${path}`;
    const kind = edge.kinds.get(key);
    if (kind !== undefined) kind.count++;
    // Methods are the caller's to make up, too.
    else if (this.#kinds >= MAX_TOTAL || edge.kinds.size >= 2 * MAX_KINDS) this.#complete = false;
    else {
      this.#kinds++;
      edge.kinds.set(key, { method: request.method, path, count: 1 });
    }
  }

  connection({ source, cluster, termination }: TcpRecord): void {
    if (cluster === undefined) return;
    if (source.direction === "outbound") {
      this.#call(cluster.serviceHost);
      return;
    }
    if (termination.startsWith(REFUSED)) return;
    const edge = this.#edge(source.peerSpiffeId, cluster.serviceHost, cluster.endpoints[0]?.port ?? 0);
    if (edge !== undefined) edge.connections++;
  }

  #edge(source: string, service: string, port: number): Edge | undefined {
    // What goes on to where it was redirected from is no service's.
    if (service === "") return undefined;
    const key = `${source} ${service} ${port}`;
    let edge = this.#edges.get(key);
    if (edge === undefined) {
      if (this.#edges.size >= MAX_EDGES) {
        this.#complete = false;
        return undefined;
      }
      edge = { source, service, port, kinds: new Map(), connections: 0 };
      this.#edges.set(key, edge);
    }
    return edge;
  }

  #call(host: string): void {
    if (host === "") return;
    if (this.#calls.size < MAX_CALLS) this.#calls.add(host);
    else if (!this.#calls.has(host)) this.#complete = false;
  }

  #classOf(target: string): string {
    let found = this.#classes.get(target);
    if (found === undefined) {
      found = pathClass(target.split(/[?#]/, 1)[0] ?? "");
      if (this.#classes.size >= MAX_KNOWN) this.#classes.clear();
      this.#classes.set(target, found);
    }
    return found;
  }

  #report(): TrafficReport {
    const inbound = [...this.#edges.values()].map(
      ({ source, service, port, kinds, connections }): ObservedEdge => ({
        source,
        service,
        port,
        requests: [...kinds.values()].map((kind) => ({ ...kind })),
        connections,
      }),
    );
    return { since: this.#since, complete: this.#complete, inbound, calls: [...this.#calls].sort() };
  }

  #forget(): void {
    this.#since = 0;
    this.#kinds = 0;
    this.#complete = true;
    this.#edges.clear();
    this.#calls.clear();
    this.#classes.clear();
  }
}
