import type { LoadTable, TokenLimit } from "../contract.js";
import type { Controllers } from "../load/controllers.js";
import type { ReportedLoads } from "../load/reported-loads.js";
import type { ResultTable } from "../load/result-table.js";

/**
 * A load table as it is, for decisions that are not carried out: nothing that they do to it reaches the real one. What
 * would move on with each decision (whose turn it is) moves on here.
 */
export class FrozenLoad implements LoadTable {
  readonly #real: LoadTable;
  readonly #turns = new Map<number, number>();

  constructor(real: LoadTable) {
    this.#real = real;
  }

  get identity(): number {
    return this.#real.identity;
  }

  /** The real ones: decisions only read them. */
  get reports(): ReportedLoads {
    return this.#real.reports;
  }

  /** The real one: decisions only read it. */
  get results(): ResultTable {
    return this.#real.results;
  }

  /** The real ones: decisions only read them. */
  get controllers(): Controllers {
    return this.#real.controllers;
  }

  begin(): void {}

  end(): void {}

  observe(): void {}

  watchPeak(): void {}

  expectedMs(endpointSlot: number, now: number): number {
    return this.#real.expectedMs(endpointSlot, now);
  }

  warmSince(endpointSlot: number): number {
    return this.#real.warmSince(endpointSlot);
  }

  setWarmSince(): void {}

  inFlight(endpointSlot: number): number {
    return this.#real.inFlight(endpointSlot);
  }

  clusterInFlight(clusterSlot: number): number {
    return this.#real.clusterInFlight(clusterSlot);
  }

  retriesInFlight(clusterSlot: number): number {
    return this.#real.retriesInFlight(clusterSlot);
  }

  connections(clusterSlot: number): number {
    return this.#real.connections(clusterSlot);
  }

  addConnections(): void {}

  pending(clusterSlot: number): number {
    return this.#real.pending(clusterSlot);
  }

  addPending(): void {}

  turn(clusterSlot: number): number {
    const turn = this.nextTurn(clusterSlot);
    this.#turns.set(clusterSlot, (turn + 1) >>> 0);
    return turn;
  }

  nextTurn(clusterSlot: number): number {
    return this.#turns.get(clusterSlot) ?? this.#real.nextTurn(clusterSlot);
  }

  takeToken(key: string, kept: boolean, limit: TokenLimit, now: number): number {
    return this.#real.tokens(key, kept, limit, now);
  }

  tokens(key: string, kept: boolean, limit: TokenLimit, now: number): number {
    return this.#real.tokens(key, kept, limit, now);
  }

  activeFaults(): number {
    return this.#real.activeFaults();
  }

  addActiveFaults(): void {}

  countRecent(): void {}

  recentRequests(clusterSlot: number, windowMs: number, nowMs: number): number {
    return this.#real.recentRequests(clusterSlot, windowMs, nowMs);
  }

  recentRetries(clusterSlot: number, windowMs: number, nowMs: number): number {
    return this.#real.recentRetries(clusterSlot, windowMs, nowMs);
  }

  noteRetried(): void {}

  takeRetried(): boolean {
    return false;
  }

  unhealthy(endpointSlot: number): number {
    return this.#real.unhealthy(endpointSlot);
  }

  setUnhealthy(): void {}

  takeUnhealthy(): boolean {
    return false;
  }

  healthEpoch(): number {
    return this.#real.healthEpoch();
  }
}
