import {
  UNHEALTHY_CHECK,
  UNHEALTHY_EJECTED,
  UNHEALTHY_PROBATION,
  UNHEALTHY_PROBE_WANTED,
  type LoadTable,
} from "../contract.js";
import { ResultCount, ResultTime } from "../load/result-table.js";
import type { ClusterPart, EndpointPart, Snapshot } from "../snapshot/contract.js";
import type { OutlierSettings } from "../snapshot/outlier-settings.js";
import { OUTLIER_KINDS, PROBE_FAILED, PROBE_PASSED, SUSPECT_RATE, type OutlierKind } from "./kinds.js";
import { takeRateOutliers, type RateOutlier } from "./rates.js";

/** Something that became of an endpoint, for logs and statistics. */
export interface OutlierEvent {
  /**
   * `probation`: its penalty is over, and one request decides whether it returns. `spared`: it stands out, but so many are
   * ejected already. `unenforced`: chance spared it (`enforcing_*`).
   */
  readonly action: "ejected" | "probation" | "returned" | "spared" | "unenforced";
  readonly cluster: string;
  /** `host:port` */
  readonly endpoint: string;
  readonly kind: OutlierKind;
  /** In words. */
  readonly reason: string;
  /** Of this endpoint so far. */
  readonly ejections: number;
  /** How long it stays away at least, milliseconds; 0 when it does not. */
  readonly ejectedForMs: number;
}

export interface OutlierDetectorOptions {
  readonly load: LoadTable;
  /** Numbers in [0, 1): for `enforcing_*` and jitter. */
  readonly random: () => number;
  /** Milliseconds since the epoch: for the times that people read. */
  readonly date: () => number;
  readonly onEvent: (event: OutlierEvent) => void;
}

/** An endpoint that is away, and whose rules hold for it. */
interface Ejection {
  readonly cluster: string;
  readonly endpoint: string;
  readonly kind: OutlierKind;
  /** Monotonic. On probation: when another request may try, because nothing was heard of the one before. */
  readonly untilMs: number;
  readonly onProbation: boolean;
  /** Penalties grow until it is back (failure accrual), and not with each ejection of late. */
  readonly untilBack: boolean;
}

interface Multiplier {
  readonly cluster: string;
  readonly endpoint: string;
  times: number;
}

/**
 * Decides which endpoints are ejected and when they come back, as Envoy does. An endpoint is an address: ejected on behalf
 * of one cluster it is ejected for all that have it, so every cluster that it is the last usable endpoint of must
 * allow it, too. One thread decides for all.
 */
export class OutlierDetector {
  readonly #load: LoadTable;
  readonly #random: () => number;
  readonly #date: () => number;
  readonly #onEvent: (event: OutlierEvent) => void;
  readonly #ejected = new Map<number, Ejection>();
  /** By slot: how many base times the last ejection lasts. Sinks by one with every interval in peace. */
  readonly #multipliers = new Map<number, Multiplier>();
  /** By cluster: when its interval ends. */
  readonly #due = new Map<string, number>();

  constructor({ load, random, date, onEvent }: OutlierDetectorOptions) {
    this.#load = load;
    this.#random = random;
    this.#date = date;
    this.#onEvent = onEvent;
  }

  /** Endpoints ejected on behalf of a cluster. */
  activeEjections(cluster: string): number {
    let count = 0;
    for (const ejection of this.#ejected.values()) if (ejection.cluster === cluster) count++;
    return count;
  }

  /** Requests of a cluster found an endpoint to be an outlier by the rules `bits` (`SUSPECT_*`). */
  suspect(snapshot: Snapshot, clusterName: string, slot: number, bits: number, nowMs: number): void {
    const cluster = snapshot.cluster(clusterName);
    const endpoint = cluster?.endpoints.find((one) => one.slot === slot);
    const settings = cluster?.outlier;
    if (cluster === undefined || endpoint === undefined || settings === undefined) return;
    for (const [kind, rule] of [
      ["consecutive_5xx", settings.consecutive5xx],
      ["consecutive_gateway_failure", settings.consecutiveGateway],
      ["consecutive_local_origin_failure", settings.consecutiveLocal],
    ] as const) {
      if ((bits & (1 << OUTLIER_KINDS.indexOf(kind))) === 0) continue;
      const reason = `${rule.count} ${wordsOf(kind, settings)} one after the other`;
      this.#judge(snapshot, cluster, settings, endpoint, { kind, reason, ...rule }, nowMs);
    }
    if ((bits & SUSPECT_RATE) !== 0) this.#suspectRate(snapshot, cluster, settings, endpoint, nowMs);
    if ((bits & (PROBE_PASSED | PROBE_FAILED)) !== 0) this.#endProbation(settings, endpoint, bits, nowMs);
  }

  /** Too few of the answers in the interval so far were good. */
  #suspectRate(
    snapshot: Snapshot,
    cluster: ClusterPart,
    settings: OutlierSettings,
    endpoint: EndpointPart,
    nowMs: number,
  ): void {
    const { results } = this.#load;
    const answers = results.take(ResultCount.ANSWERS, endpoint.slot);
    const good = Math.min(results.take(ResultCount.GOOD_ANSWERS, endpoint.slot), answers);
    // Several threads may have said so: the first was judged.
    if (answers === 0) return;
    const { minSuccessPercent = 0 } = settings.accrual ?? {};
    const reason = `${rounded((100 * good) / answers)} % of ${answers} requests succeeded, it must be ${rounded(minSuccessPercent)} %`;
    const { enforcingPercent } = settings.failurePercentage;
    const found = { kind: "failure_percentage", reason, enforcingPercent } as const;
    this.#judge(snapshot, cluster, settings, endpoint, found, nowMs);
  }

  /** What became of the request that decides about an endpoint. */
  #endProbation(settings: OutlierSettings, endpoint: EndpointPart, bits: number, nowMs: number): void {
    const ejection = this.#ejected.get(endpoint.slot);
    if (ejection?.onProbation !== true) return;
    if ((bits & PROBE_PASSED) !== 0) {
      this.#return(endpoint.slot, "the request on probation succeeded");
      return;
    }
    const { cluster, kind } = ejection;
    this.#setProbation(endpoint.slot, false);
    const ejectedForMs = this.#eject(cluster, endpoint, settings, kind, nowMs);
    const ejections = this.#load.results.get(ResultCount.EJECTIONS, endpoint.slot);
    const reason = "the request on probation failed";
    this.#onEvent({
      action: "ejected",
      cluster,
      endpoint: endpoint.key,
      kind,
      reason,
      ejections,
      ejectedForMs,
    });
  }

  /** Ends the intervals that are over. Returns when the next one is; undefined = no cluster detects outliers. */
  sweep(snapshot: Snapshot, nowMs: number): number | undefined {
    this.#dropGone(snapshot);
    let next: number | undefined;
    for (const cluster of snapshot.clusters()) {
      if (cluster.outlier === undefined) continue;
      const { intervalMs } = cluster.outlier;
      let due = Math.min(this.#due.get(cluster.name) ?? nowMs + intervalMs, nowMs + intervalMs);
      if (due <= nowMs) {
        this.#endInterval(snapshot, cluster, cluster.outlier, nowMs);
        due = nowMs + intervalMs;
      }
      this.#due.set(cluster.name, due);
      next = Math.min(next ?? due, due);
      if (cluster.outlier.accrual !== undefined)
        next = Math.min(next, this.#endPenalties(cluster.name, nowMs));
    }
    for (const name of this.#due.keys()) {
      if (snapshot.cluster(name)?.outlier === undefined) this.#forget(name);
    }
    return next;
  }

  /** An active health check of an endpoint passed. */
  onCheckPassed(cluster: ClusterPart, endpoint: EndpointPart): void {
    if (cluster.outlier?.healthCheckUnejects === false) return;
    if (this.#ejected.has(endpoint.slot)) this.#return(endpoint.slot, "its health check passed");
  }

  /** Rules that are gone hold nobody back. */
  #dropGone(snapshot: Snapshot): void {
    for (const [slot, ejection] of this.#ejected) {
      const cluster = snapshot.cluster(ejection.cluster);
      const here = cluster?.endpoints.some((one) => one.slot === slot && one.key === ejection.endpoint);
      if (cluster?.outlier === undefined) this.#return(slot, "its cluster detects no outliers any more");
      else if (here !== true) this.#return(slot, "its cluster does not have it any more");
    }
  }

  #endInterval(snapshot: Snapshot, cluster: ClusterPart, settings: OutlierSettings, nowMs: number): void {
    const { results } = this.#load;
    for (const { slot, key } of cluster.endpoints) {
      const ejection = this.#ejected.get(slot);
      if (settings.accrual !== undefined) this.#restartRates(slot);
      else if (ejection === undefined) this.#calm(cluster.name, slot, key);
      else if (ejection.cluster === cluster.name && ejection.untilMs <= nowMs) {
        this.#return(slot, "its time is over");
      }
    }
    if (!settings.countsRates || settings.accrual !== undefined) return;
    const slots = cluster.endpoints.map(({ slot }) => slot);
    for (const outlier of takeRateOutliers(results, settings, slots)) {
      const endpoint = cluster.endpoints.find(({ slot }) => slot === outlier.slot)!;
      const { kind, enforcingPercent } = outlier;
      this.#judge(
        snapshot,
        cluster,
        settings,
        endpoint,
        { kind, enforcingPercent, reason: rateReason(outlier) },
        nowMs,
      );
    }
  }

  /** Endpoints whose penalty is over are on probation now. Returns when the next one's is. */
  #endPenalties(clusterName: string, nowMs: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const [slot, ejection] of this.#ejected) {
      if (ejection.cluster !== clusterName) continue;
      let { untilMs } = ejection;
      if (untilMs <= nowMs) {
        untilMs = nowMs + PROBE_WAIT_MS;
        this.#ejected.set(slot, { ...ejection, untilMs, onProbation: true });
        this.#setProbation(slot, true);
        if (!ejection.onProbation) this.#tellProbation(slot, ejection);
      }
      next = Math.min(next, untilMs);
    }
    return next;
  }

  #tellProbation(slot: number, { cluster, endpoint, kind }: Ejection): void {
    const ejections = this.#load.results.get(ResultCount.EJECTIONS, slot);
    const reason = "its penalty is over: one request decides";
    this.#onEvent({ action: "probation", cluster, endpoint, kind, reason, ejections, ejectedForMs: 0 });
  }

  #setProbation(slot: number, on: boolean): void {
    this.#load.setUnhealthy(slot, UNHEALTHY_PROBATION, on);
    this.#load.setUnhealthy(slot, UNHEALTHY_PROBE_WANTED, on);
  }

  #forget(cluster: string): void {
    this.#due.delete(cluster);
    for (const [slot, multiplier] of this.#multipliers) {
      if (multiplier.cluster === cluster) this.#multipliers.delete(slot);
    }
  }

  #calm(cluster: string, slot: number, endpoint: string): void {
    const multiplier = this.#multipliers.get(slot);
    if (multiplier?.cluster !== cluster) return;
    if (multiplier.endpoint !== endpoint || --multiplier.times <= 0) this.#multipliers.delete(slot);
  }

  #restartRates(slot: number): void {
    this.#load.results.take(ResultCount.ANSWERS, slot);
    this.#load.results.take(ResultCount.GOOD_ANSWERS, slot);
  }

  #judge(
    snapshot: Snapshot,
    cluster: ClusterPart,
    settings: OutlierSettings,
    endpoint: EndpointPart,
    found: { readonly kind: OutlierKind; readonly reason: string; readonly enforcingPercent: number },
    nowMs: number,
  ): void {
    const { slot, key } = endpoint;
    if (this.#ejected.has(slot)) return;
    const tell = (action: OutlierEvent["action"], reason: string, ejectedForMs = 0): void =>
      this.#onEvent({
        action,
        cluster: cluster.name,
        endpoint: key,
        kind: found.kind,
        reason,
        ejections: this.#load.results.get(ResultCount.EJECTIONS, slot),
        ejectedForMs,
      });
    const objection = this.#objection(snapshot, cluster, settings, endpoint);
    if (objection !== undefined) {
      tell("spared", `${found.reason}, but ${objection}`);
      return;
    }
    if (this.#random() * 100 >= found.enforcingPercent) {
      tell("unenforced", `${found.reason}, but chance spared it (enforcing ${found.enforcingPercent} %)`);
      return;
    }
    tell("ejected", found.reason, this.#eject(cluster.name, endpoint, settings, found.kind, nowMs));
  }

  /** Why an endpoint must not be ejected. */
  #objection(
    snapshot: Snapshot,
    cluster: ClusterPart,
    settings: OutlierSettings,
    endpoint: EndpointPart,
  ): string | undefined {
    const own = this.#limitReached(cluster, settings);
    if (own !== undefined) return own;
    for (const other of snapshot.clusters()) {
      if (other.name === cluster.name || !other.endpoints.some(({ slot }) => slot === endpoint.slot))
        continue;
      if (other.endpoints.some((one) => one.slot !== endpoint.slot && this.#isUsable(one))) continue;
      if (other.outlier !== undefined && this.#limitReached(other, other.outlier) === undefined) continue;
      return `it is the last usable endpoint of ${other.name}`;
    }
    return undefined;
  }

  #limitReached({ endpoints }: ClusterPart, settings: OutlierSettings): string | undefined {
    const ejected = endpoints.filter(
      ({ slot }) => (this.#load.unhealthy(slot) & UNHEALTHY_EJECTED) !== 0,
    ).length;
    if ((100 * (ejected + 1)) / endpoints.length <= settings.maxEjectionPercent) return undefined;
    if (settings.alwaysEjectOne && ejected === 0) return undefined;
    return `${ejected} of ${endpoints.length} endpoints are ejected, and one more would be above ${settings.maxEjectionPercent} % (max_ejection_percent)`;
  }

  #isUsable({ slot, healthy }: EndpointPart): boolean {
    return healthy && (this.#load.unhealthy(slot) & (UNHEALTHY_EJECTED | UNHEALTHY_CHECK)) === 0;
  }

  /** Returns for how long. */
  #eject(
    cluster: string,
    { slot, key }: EndpointPart,
    settings: OutlierSettings,
    kind: OutlierKind,
    nowMs: number,
  ): number {
    const { results } = this.#load;
    const before = this.#multipliers.get(slot);
    const multiplier = before?.endpoint === key ? before : { cluster, endpoint: key, times: 0 };
    // It does not grow beyond what reaches the longest time: else it would take as long to sink.
    if (penaltyMs(settings, multiplier.times) < settings.maxEjectionMs) multiplier.times++;
    this.#multipliers.set(slot, multiplier);
    const wholeMs = Math.min(penaltyMs(settings, multiplier.times), settings.maxEjectionMs);
    const maxJitterMs = settings.accrual ? wholeMs * settings.accrual.jitterRatio : settings.maxJitterMs;
    const durationMs = Math.floor(wholeMs + this.#random() * maxJitterMs);
    results.add(ResultCount.EJECTIONS, slot);
    results.set(ResultCount.REASON, slot, OUTLIER_KINDS.indexOf(kind) + 1);
    const dateMs = this.#date();
    results.setTime(ResultTime.EJECTED_AT, slot, dateMs);
    results.setTime(ResultTime.EJECTED_UNTIL, slot, dateMs + durationMs);
    this.#ejected.set(slot, {
      cluster,
      endpoint: key,
      kind,
      untilMs: nowMs + durationMs,
      onProbation: false,
      untilBack: settings.accrual !== undefined,
    });
    this.#load.setUnhealthy(slot, UNHEALTHY_EJECTED, true);
    return durationMs;
  }

  #return(slot: number, reason: string): void {
    const ejection = this.#ejected.get(slot);
    if (ejection === undefined) return;
    this.#ejected.delete(slot);
    const { results } = this.#load;
    for (const column of CONSECUTIVE) results.set(column, slot, 0);
    if (ejection.untilBack) this.#multipliers.delete(slot);
    if (ejection.onProbation) this.#setProbation(slot, false);
    this.#load.setUnhealthy(slot, UNHEALTHY_EJECTED, false);
    const ejections = results.get(ResultCount.EJECTIONS, slot);
    const { cluster, endpoint, kind } = ejection;
    this.#onEvent({ action: "returned", cluster, endpoint, kind, reason, ejections, ejectedForMs: 0 });
  }
}

/** Times one after the other it is ejected: so much longer each time, or with failure accrual twice as long. */
function penaltyMs({ baseEjectionMs, accrual }: OutlierSettings, times: number): number {
  if (times === 0) return 0;
  return accrual === undefined ? times * baseEjectionMs : baseEjectionMs * 2 ** (times - 1);
}

/** So long nothing may be heard of a request on probation, until another one may try. */
const PROBE_WAIT_MS = 10_000;

const CONSECUTIVE = [
  ResultCount.CONSECUTIVE_5XX,
  ResultCount.CONSECUTIVE_GATEWAY,
  ResultCount.CONSECUTIVE_LOCAL,
] as const;

/** Statuses that a reason lists. */
const MAX_STATUSES = 6;

const WORDS = {
  consecutive_5xx: "failures (5xx)",
  consecutive_gateway_failure: "gateway failures (502, 503, 504)",
  consecutive_local_origin_failure: "failures to connect or to get an answer",
} as const;

function wordsOf(kind: keyof typeof WORDS, { errorStatuses }: OutlierSettings): string {
  if (errorStatuses === undefined || kind !== "consecutive_5xx") return WORDS[kind];
  const [...statuses] = errorStatuses;
  return `failures (${statuses.slice(0, MAX_STATUSES).join(", ")}${statuses.length > MAX_STATUSES ? ", …" : ""})`;
}

function rateReason({ kind, successPercent, requests, thresholdPercent }: RateOutlier): string {
  const share = kind.endsWith("failure_percentage")
    ? `${rounded(100 - successPercent)} % of ${requests} requests failed, ${rounded(thresholdPercent)} % make an outlier`
    : `${rounded(successPercent)} % of ${requests} requests succeeded, less than the ${rounded(thresholdPercent)} % that follow from the other endpoints`;
  return kind.startsWith("local_origin") ? `${share} (connections and answers in time)` : share;
}

function rounded(percent: number): number {
  return Math.round(percent * 10) / 10;
}
