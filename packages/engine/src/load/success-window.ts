import type { AdmissionMutation, EndedExchange, ExchangeWatcher } from "../contract.js";

/** How a caller finds out that a service is not well, and what it holds back then. Shares from 0 to 1. */
export interface SuccessSettings {
  /** Requests of the last so many seconds are counted. */
  readonly windowSeconds: number;
  /** Above this share of successes nothing is held back. */
  readonly threshold: number;
  readonly aggression: number;
  /** At fewer requests a second nothing is held back. */
  readonly minRequestsPerSecond: number;
  readonly maxProbability: number;
  readonly isSuccess: (ended: EndedExchange) => boolean;
}

/** How often and how well a service was called in the last seconds. Time passes only by the calls. */
export class SuccessWindow implements ExchangeWatcher {
  readonly name: string;
  readonly settings: SuccessSettings;
  /** What an admitted request is told: always the same, so that admitting allocates nothing. */
  readonly admitted: AdmissionMutation = { kind: "mutate", watcher: this };
  /** By second, going round. */
  readonly #requests: Float64Array;
  readonly #successes: Float64Array;
  /** The second that each place is about. */
  readonly #seconds: Float64Array;
  /** Of the last look at the window. */
  #sum = 0;
  #successSum = 0;
  #perSecond = 0;
  #refused = 0;
  #succeeded = 0;
  #failed = 0;

  constructor(name: string, settings: SuccessSettings) {
    this.name = name;
    this.settings = settings;
    this.#requests = new Float64Array(settings.windowSeconds);
    this.#successes = new Float64Array(settings.windowSeconds);
    this.#seconds = new Float64Array(settings.windowSeconds).fill(Number.NEGATIVE_INFINITY);
  }

  /** Requests that were refused so far. */
  get refused(): number {
    return this.#refused;
  }

  get succeeded(): number {
    return this.#succeeded;
  }

  get failed(): number {
    return this.#failed;
  }

  onBegin(): void {}

  onEnd(now: number, ended: EndedExchange): void {
    const success = this.settings.isSuccess(ended);
    if (success) this.#succeeded++;
    else this.#failed++;
    const second = Math.floor(now / 1000);
    const place = placeOf(second, this.settings.windowSeconds);
    if (this.#seconds[place] !== second) {
      this.#seconds[place] = second;
      this.#requests[place] = 0;
      this.#successes[place] = 0;
    }
    this.#requests[place]!++;
    if (success) this.#successes[place]!++;
  }

  onRefused(): void {
    this.#refused++;
  }

  /** What is in the window now. */
  counts(now: number): SuccessCounts {
    this.#sumUp(now);
    return { requests: this.#sum, successes: this.#successSum, perSecond: this.#perSecond };
  }

  /**
   * The share of requests that is held back now (Envoy's formula, after "Handling Overload" of the SRE book): so many that
   * what goes on is about what succeeds.
   */
  refusalProbability(now: number): number {
    const { threshold, aggression, minRequestsPerSecond, maxProbability } = this.settings;
    this.#sumUp(now);
    if (this.#perSecond < minRequestsPerSecond) return 0;
    const share = (this.#sum - this.#successSum / threshold) / (this.#sum + 1);
    if (share <= 0) return 0;
    return Math.min(maxProbability, aggression === 1 ? share : share ** (1 / aggression));
  }

  #sumUp(now: number): void {
    const second = Math.floor(now / 1000);
    const places = this.#seconds.length;
    let oldest = second;
    this.#sum = 0;
    this.#successSum = 0;
    for (let place = 0; place < places; place++) {
      const counted = this.#seconds[place]!;
      if (counted <= second - places || counted > second) continue;
      this.#sum += this.#requests[place]!;
      this.#successSum += this.#successes[place]!;
      if (counted < oldest) oldest = counted;
    }
    this.#perSecond = this.#sum / Math.max(1, second - oldest);
  }
}

export interface SuccessCounts {
  readonly requests: number;
  readonly successes: number;
  /** Requests a second, on average since the oldest that is counted. */
  readonly perSecond: number;
}

function placeOf(second: number, places: number): number {
  return ((second % places) + places) % places;
}
