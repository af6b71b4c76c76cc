import { get } from "node:http";

import { edgesOf, keyOf, mergeEdges, quantile, since, type Edge } from "./edges.js";
import type { WorkloadChild } from "./shop.js";

const TIMEOUT_MS = 2000;
const MAX_BYTES = 8 * 1024 * 1024;

/** One edge over the last interval, as the terminal shows it. */
export interface EdgeRate {
  readonly edge: Edge;
  readonly perSecond: number;
  /** 0 to 1; undefined without requests. */
  readonly success: number | undefined;
  /** Milliseconds. */
  readonly p50: number | undefined;
  readonly p99: number | undefined;
}

/** Reads the sidecars' own metrics and turns two readings into rates. */
export class Scraper {
  readonly #children: readonly WorkloadChild[];
  /** The last reading of each sidecar: what one that is gone has counted stays counted. */
  readonly #readings = new Map<WorkloadChild, readonly Edge[]>();
  #before = new Map<string, Edge>();
  #readAt = 0;

  constructor(children: readonly WorkloadChild[]) {
    this.#children = children;
  }

  /** Edges since the reading before; `now` in monotonic milliseconds. */
  async read(now: number): Promise<readonly EdgeRate[]> {
    await Promise.all(this.#children.map((child) => this.#scrape(child)));
    const seconds = Math.max((now - this.#readAt) / 1000, 0.001);
    this.#readAt = now;
    const before = this.#before;
    const edges = this.edges();
    this.#before = new Map(edges.map((edge) => [keyOf(edge), edge]));
    return edges.map((edge) => {
      const { requests, failures, buckets } = since(before.get(keyOf(edge)), edge);
      return {
        edge,
        perSecond: requests / seconds,
        success: requests === 0 ? undefined : 1 - failures / requests,
        p50: quantile(buckets, 0.5),
        p99: quantile(buckets, 0.99),
      };
    });
  }

  /** Every edge since the start, by caller, callee and version: the instances of a caller are one. */
  edges(): readonly Edge[] {
    return mergeEdges([...this.#readings.values()].flat()).sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  async #scrape(child: WorkloadChild): Promise<void> {
    const text = child.running ? await scrape(child) : undefined;
    if (text !== undefined) this.#readings.set(child, edgesOf(text));
  }
}

/** The metrics of one sidecar, or undefined when it cannot be asked. */
function scrape(child: WorkloadChild): Promise<string | undefined> {
  const { host, port } = child.ready.addresses.metrics;
  return new Promise((resolve) => {
    const call = get({ host, port, path: "/stats/prometheus", timeout: TIMEOUT_MS }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => {
        text += chunk;
        if (text.length > MAX_BYTES) call.destroy();
      });
      answer.on("error", () => resolve(undefined));
      answer.on("end", () => resolve(text));
    });
    call.on("timeout", () => call.destroy());
    call.on("error", () => resolve(undefined));
  });
}
