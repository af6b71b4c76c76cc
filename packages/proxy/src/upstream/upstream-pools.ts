import type { Disposable } from "@tulle/base";
import type { EndpointPart, Snapshot } from "@tulle/engine";

import { preambleOf, type ConnectionEnds } from "../proxy-protocol/preamble.js";
import { UpstreamPool, type PoolContext } from "./upstream-pool.js";

/**
 * All pools of a proxy, keyed by TLS configuration and address, and where connections begin with a PROXY header by that,
 * too: they are a client's own. Empty pools leave: endpoints come and go.
 */
export class UpstreamPools implements Disposable {
  readonly #context: PoolContext;
  readonly #byKey = new Map<string, UpstreamPool>();
  /** Saves building the key for every request; endpoints are replaced by updates and then looked up again. */
  readonly #byEndpoint = new WeakMap<EndpointPart, UpstreamPool>();
  /** Numbers of clients' connections, where these have connections of their own. */
  readonly #clients = new WeakMap<ConnectionEnds, number>();
  #lastClient = 0;

  constructor(context: PoolContext) {
    this.#context = context;
  }

  /** The pool for `endpoint` and a client, which is one object for each connection of clients; use it at once, it may leave when it is empty. */
  for(endpoint: EndpointPart, client: ConnectionEnds): UpstreamPool {
    const cached = this.#byEndpoint.get(endpoint);
    if (cached !== undefined && !cached.retired) return cached;
    const preamble = preambleOf(endpoint, client);
    const own = endpoint.perClient ? `|client ${this.#numberOf(client)}` : "";
    const pool = this.#pool(endpoint, preamble, own);
    if (preamble === undefined && own === "") this.#byEndpoint.set(endpoint, pool);
    return pool;
  }

  /** Never given to another one, as its address may be. */
  #numberOf(client: ConnectionEnds): number {
    let number = this.#clients.get(client);
    if (number === undefined) this.#clients.set(client, (number = ++this.#lastClient));
    return number;
  }

  #pool(endpoint: EndpointPart, preamble: Buffer | undefined, client: string): UpstreamPool {
    const own = preamble === undefined ? client : `${client}|${preamble.toString("latin1")}`;
    const way = wayTo(endpoint);
    const key = `${way}${own}`;
    let pool = this.#byKey.get(key);
    if (pool === undefined) {
      pool = new UpstreamPool(
        this.#context,
        endpoint,
        way,
        preamble,
        (empty) => {
          if (this.#byKey.get(key) === empty) this.#byKey.delete(key);
        },
        (slot) => this.#makeRoom(slot),
      );
      this.#byKey.set(key, pool);
    }
    return pool;
  }

  #makeRoom(slot: number): boolean {
    for (const pool of this.#byKey.values()) if (pool.makeRoom(slot)) return true;
    return false;
  }

  /** Lets go of connections to endpoints that are not among these, without cutting an exchange. */
  keepOnly(endpoints: Iterable<EndpointPart>): void {
    if (this.#byKey.size === 0) return;
    const ways = new Set<string>();
    for (const endpoint of endpoints) {
      ways.add(wayTo(endpoint));
      if (endpoint.overHttp2 !== undefined) ways.add(wayTo(endpoint.overHttp2));
    }
    for (const pool of this.#byKey.values()) pool.removed = pool.ofCluster && !ways.has(pool.way);
  }

  /** After the workload's certificate changed: mutual-TLS connections are made anew, without cutting an exchange. */
  renewMutualTls(): void {
    for (const pool of this.#byKey.values()) if (pool.mutualTls) pool.renew();
  }

  /** After certificates of one TLS configuration changed: its connections are made anew, without cutting an exchange. */
  renewTls(key: string): void {
    for (const pool of this.#byKey.values()) if (pool.tlsKey === key) pool.renew();
  }

  [Symbol.dispose](): void {
    for (const pool of this.#byKey.values()) pool.destroy();
  }
}

/** All that requests may be sent to. */
export function* endpointsOf(snapshot: Snapshot): Iterable<EndpointPart> {
  for (const cluster of snapshot.clusters()) yield* cluster.endpoints;
}

/** An endpoint with how it is reached: what connections to it have in common. */
function wayTo(endpoint: EndpointPart): string {
  return `${endpoint.http2 ? "h2c" : (endpoint.tls?.key ?? "")}|${endpoint.key}`;
}
