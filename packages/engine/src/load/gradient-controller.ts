import type { AdmissionMutation, EndedExchange, ExchangeWatcher } from "../contract.js";
import { mix } from "../entropy.js";
import { LatencyHistogram } from "./latency-histogram.js";

/** What an adaptive limit goes by. Times in milliseconds, shares from 0 to 1. */
export interface GradientSettings {
  /** The percentile that a window's response times are summed up by. */
  readonly percentile: number;
  /** After so long the limit is thought over. */
  readonly updateIntervalMs: number;
  readonly maxLimit: number;
  /** After so long the time of an unburdened service is measured again. */
  readonly minRttIntervalMs: number;
  /** A random part of that interval, at most so large, is added to it. */
  readonly jitter: number;
  /** So many requests measure it. */
  readonly minRttRequests: number;
  /** The limit while it is measured, and the lowest at all times. */
  readonly minLimit: number;
  /** So much slower than unburdened counts as unburdened. */
  readonly buffer: number;
}

/** So many updates in a row at the lowest limit: the measured time is no longer true. */
const UPDATES_AT_MINIMUM = 5;

/**
 * How many requests a service takes at once, found out from how long they take (the gradient controller of Envoy's
 * `adaptive_concurrency`). From time to time the limit is lowered so far that nothing waits, and the response time of the
 * unburdened service is measured. Between that, the limit follows the ratio of that time to the present one: it sinks as
 * soon as requests wait for each other, and rises while they do not.
 *
 * Time passes only by the calls: what is due is done at the next request's begin or end.
 */
export class GradientController implements ExchangeWatcher {
  readonly name: string;
  readonly settings: GradientSettings;
  /** What an admitted request is told: always the same, so that admitting allocates nothing. */
  readonly admitted: AdmissionMutation = { kind: "mutate", watcher: this };
  readonly #seed: number;
  readonly #times = new LatencyHistogram();
  #inFlight = 0;
  #limit: number;
  #refused = 0;
  #gradient = 1;
  #minRttMs = 0;
  #sampleRttMs = 0;
  /** The limit that comes back after the measuring; 0 = nothing is measured. */
  #deferredLimit: number;
  /** What began before is not measured. */
  #epoch = Number.NEGATIVE_INFINITY;
  #windowEnd = Number.POSITIVE_INFINITY;
  #measureAt = Number.POSITIVE_INFINITY;
  #measurements = 0;
  #updatesAtMinimum = 0;

  /** `seed`: different for proxies that should not all measure at the same time. */
  constructor(name: string, settings: GradientSettings, seed: number) {
    this.name = name;
    this.settings = settings;
    this.#seed = seed;
    this.#limit = settings.minLimit;
    this.#deferredLimit = settings.minLimit;
  }

  /** Requests under way at most. */
  get limit(): number {
    return this.#limit;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Requests that were refused so far. */
  get refused(): number {
    return this.#refused;
  }

  /** Whether the unburdened service is being measured. */
  get measuring(): boolean {
    return this.#deferredLimit > 0;
  }

  /** Response time of the unburdened service; 0 = not measured yet. */
  get minRttMs(): number {
    return this.#minRttMs;
  }

  /** Response time lately. */
  get sampleRttMs(): number {
    return this.#sampleRttMs;
  }

  /** What the limit was last multiplied by. */
  get gradient(): number {
    return this.#gradient;
  }

  /** Whether one more request is let through. */
  admits(): boolean {
    return this.#inFlight < this.#limit;
  }

  onBegin(now: number): void {
    this.#advance(now);
    this.#inFlight++;
  }

  onEnd(now: number, { durationMs, cut }: EndedExchange): void {
    this.#inFlight--;
    this.#advance(now);
    // Of who left early nobody knows how long it would have taken.
    if (cut || now - durationMs < this.#epoch) return;
    this.#times.add(durationMs);
    if (this.measuring && this.#times.total >= this.settings.minRttRequests) this.#endMeasuring(now);
  }

  onRefused(): void {
    this.#refused++;
  }

  #advance(now: number): void {
    if (this.#epoch === Number.NEGATIVE_INFINITY) this.#epoch = now;
    if (this.measuring) return;
    if (now >= this.#windowEnd) {
      this.#windowEnd = now + this.settings.updateIntervalMs;
      if (this.#times.total > 0) this.#update();
    }
    if (now >= this.#measureAt || this.#updatesAtMinimum >= UPDATES_AT_MINIMUM) this.#beginMeasuring(now);
  }

  #beginMeasuring(now: number): void {
    this.#deferredLimit = this.#limit;
    this.#limit = this.settings.minLimit;
    this.#updatesAtMinimum = 0;
    this.#times.clear();
    this.#epoch = now;
  }

  #endMeasuring(now: number): void {
    const { percentile, updateIntervalMs, minRttIntervalMs, jitter } = this.settings;
    this.#minRttMs = this.#times.percentile(percentile);
    this.#times.clear();
    this.#limit = this.#deferredLimit;
    this.#deferredLimit = 0;
    this.#windowEnd = now + updateIntervalMs;
    const chance = mix(this.#seed, this.#measurements++) / 0x1_0000_0000;
    this.#measureAt = now + minRttIntervalMs * (1 + jitter * chance);
  }

  #update(): void {
    const { percentile, buffer, minLimit, maxLimit } = this.settings;
    this.#sampleRttMs = this.#times.percentile(percentile);
    this.#times.clear();
    this.#gradient = Math.min(2, Math.max(0.5, (this.#minRttMs * (1 + buffer)) / this.#sampleRttMs));
    const limit = this.#limit * this.#gradient;
    const before = this.#limit;
    // The root lets a small limit grow although nothing waits, and is little beside a large one.
    this.#limit = Math.min(maxLimit, Math.max(minLimit, Math.floor(limit + Math.sqrt(limit))));
    if (before === minLimit && this.#limit === minLimit) this.#updatesAtMinimum++;
    else this.#updatesAtMinimum = 0;
  }
}
