import {
  CLUSTER_TYPE,
  ENDPOINT_TYPE,
  LISTENER_TYPE,
  NAME_TABLE_TYPE,
  ROUTE_TYPE,
  RUNTIME_TYPE,
} from "@tulle/xds";

/** Upper bounds of the convergence histogram, seconds. */
export const CONVERGENCE_BUCKETS_S: readonly number[] = [
  0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3, 5, 10, 20, 30,
];

const SHORT_TYPE: ReadonlyMap<string, string> = new Map([
  [CLUSTER_TYPE, "cds"],
  [ENDPOINT_TYPE, "eds"],
  [LISTENER_TYPE, "lds"],
  [ROUTE_TYPE, "rds"],
  [NAME_TABLE_TYPE, "nds"],
  [RUNTIME_TYPE, "rtds"],
]);

/** Counters of the xDS server, under the names that istiod exports. Read them at any time. */
export class PushMetrics {
  readonly #pushes = new Map<string, number>();
  readonly #buckets: number[] = CONVERGENCE_BUCKETS_S.map(() => 0);
  #convergenceSumS = 0;
  #convergenceCount = 0;
  /** `pilot_xds`, gauge: streams that are open now. */
  connected = 0;
  /** `pilot_total_xds_rejects`: responses that a client refused. */
  rejects = 0;
  /** `pilot_xds_expired_nonce`: requests that answered an older response. */
  expiredNonces = 0;
  /** `pilot_xds_write_timeout`: streams dropped because their client read too slowly. */
  writeTimeouts = 0;

  /** `pilot_xds_pushes` by its label `type`: cds, eds, lds, rds, nds, other. */
  get pushes(): ReadonlyMap<string, number> {
    return this.#pushes;
  }

  /** `pilot_proxy_convergence_time`: from noticing a change to a client's ACK, in seconds. Buckets are cumulative. */
  get convergence(): {
    readonly buckets: readonly number[];
    readonly sumSeconds: number;
    readonly count: number;
  } {
    let total = 0;
    const buckets = this.#buckets.map((count) => (total += count));
    return { buckets, sumSeconds: this.#convergenceSumS, count: this.#convergenceCount };
  }

  countPush(typeUrl: string): void {
    const type = SHORT_TYPE.get(typeUrl) ?? "other";
    this.#pushes.set(type, (this.#pushes.get(type) ?? 0) + 1);
  }

  observeConvergence(ms: number): void {
    const seconds = ms / 1000;
    const index = CONVERGENCE_BUCKETS_S.findIndex((bound) => seconds <= bound);
    if (index >= 0) this.#buckets[index]! += 1;
    this.#convergenceSumS += seconds;
    this.#convergenceCount++;
  }
}
