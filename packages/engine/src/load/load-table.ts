import type { LoadTable, TokenLimit } from "../contract.js";
import { Averages } from "./averages.js";
import { Controllers } from "./controllers.js";
import { RECENT_COLUMNS, RecentCounts } from "./recent-counts.js";
import { reportBytes, ReportedLoads } from "./reported-loads.js";
import { RETRIED_BYTES, RetriedRequests } from "./retried-requests.js";
import { resultBytes, ResultTable } from "./result-table.js";
import { SlotAllocator } from "./slot-allocator.js";
import { TokenBuckets } from "./token-buckets.js";

export { NO_SLOT } from "./slot-allocator.js";

/** The load table as its owner sees it: slots are handed out and taken back here. */
export interface SlotTable extends LoadTable {
  /**
   * The slot of an identity (`10.0.0.7:8080`, `cluster:<name>`), one reference more. -1 when the table is full.
   * The same identity has the same slot for as long as anybody holds it or anything is under way on it.
   */
  acquire(identity: string): number;
  /** Gives one reference back. */
  release(slot: number): void;
  /** Moving average of an endpoint's response time, milliseconds; 0 before the first observation. */
  latencyMs(slot: number): number;
  /** Moving average of an endpoint's failures, 0 to 1. */
  failureRate(slot: number): number;
}

export interface LoadTableOptions {
  /** Endpoints and clusters together; default 65,536 (about 7 MB of address space, touched only as far as used). */
  readonly maxSlots?: number;
  /**
   * Where the round-robin cursors start, so that a fleet of proxies that starts together does not send its first
   * requests to the same endpoint; default 0.
   */
  readonly seed?: number;
  /** `LoadTable.identity`; default 0. */
  readonly identity?: number;
  /** Where threads share the table: when this thread's monotonic clock began, by a clock of all of them; default 0. */
  readonly clockOriginMs?: number;
}

export const DEFAULT_MAX_SLOTS = 65_536;

/** Columns of 8 bytes, and of 4, in a slot's row. */
const WIDE_COLUMNS = 5;
const NARROW_COLUMNS = 7 + RECENT_COLUMNS;
/**
 * All columns are cut out of one piece of memory: what is as large comes from the kernel as zeros and takes no memory until it is
 * written. An array a column came from what was free by then, and was filled with zeros: 2.5 MB of every sidecar.
 */
const BYTES_PER_SLOT = 8 * WIDE_COLUMNS + 4 * NARROW_COLUMNS;

/** A load table in typed arrays, for one thread. */
export function createLoadTable(options: LoadTableOptions = {}): SlotTable {
  const { maxSlots = DEFAULT_MAX_SLOTS, seed = 0, identity = 0 } = options;
  return new TypedArrayLoadTable(maxSlots, seed, identity);
}

/** One row per slot. */
class TypedArrayLoadTable implements SlotTable {
  readonly #slots: SlotAllocator;
  readonly #inFlight: Int32Array;
  readonly #retries: Int32Array;
  readonly #connections: Int32Array;
  readonly #pending: Int32Array;
  readonly #cursor: Uint32Array;
  readonly #unhealthy: Uint32Array;
  #healthEpoch = 0;
  readonly #warmSince: Float64Array;
  #activeFaults = 0;
  readonly #tokens = new TokenBuckets();
  readonly identity: number;
  readonly reports: ReportedLoads;
  readonly results: ResultTable;
  readonly controllers: Controllers;
  readonly #averages: Averages;
  readonly #recent: RecentCounts;
  readonly #retried = new RetriedRequests(new ArrayBuffer(RETRIED_BYTES), 0);
  readonly #seed: number;

  constructor(maxSlots: number, seed: number, identity: number) {
    this.#seed = seed >>> 0;
    this.identity = identity >>> 0;
    this.reports = new ReportedLoads(new ArrayBuffer(reportBytes(maxSlots)), maxSlots);
    this.controllers = new Controllers(this.#seed);
    this.results = new ResultTable(new ArrayBuffer(resultBytes(maxSlots)), maxSlots);
    const memory = new ArrayBuffer(BYTES_PER_SLOT * maxSlots);
    const wide = (column: number): Float64Array => new Float64Array(memory, 8 * column * maxSlots, maxSlots);
    const narrow = (column: number): number => (8 * WIDE_COLUMNS + 4 * column) * maxSlots;
    const counts = (column: number): Int32Array => new Int32Array(memory, narrow(column), maxSlots);
    const marks = (column: number): Uint32Array => new Uint32Array(memory, narrow(column), maxSlots);
    this.#averages = new Averages(wide(0), wide(1), wide(2), wide(3));
    this.#warmSince = wide(4);
    this.#inFlight = counts(0);
    this.#retries = counts(1);
    this.#connections = counts(2);
    this.#pending = counts(3);
    this.#cursor = marks(4);
    this.#unhealthy = marks(5);
    this.#recent = new RecentCounts((column) => counts(6 + column));
    this.#slots = new SlotAllocator(
      counts(6 + RECENT_COLUMNS),
      (slot) => this.#inFlight[slot] === 0 && this.#connections[slot] === 0 && this.#pending[slot] === 0,
    );
  }

  acquire(identity: string): number {
    const known = this.#slots.hold(identity);
    if (known !== undefined) return known;
    const slot = this.#slots.assign(identity);
    if (slot < 0) return slot;
    this.#cursor[slot] = this.#seed;
    this.#unhealthy[slot] = 0;
    this.#warmSince[slot] = 0;
    this.results.reset(slot);
    this.reports.reset(slot);
    this.#averages.reset(slot);
    this.#recent.reset(slot);
    return slot;
  }

  release(slot: number): void {
    this.#slots.release(slot);
  }

  begin(clusterSlot: number, endpointSlot: number, retry = false): void {
    this.#inFlight[clusterSlot]!++;
    this.#inFlight[endpointSlot]!++;
    if (retry) this.#retries[clusterSlot]!++;
  }

  end(clusterSlot: number, endpointSlot: number, retry = false): void {
    this.#inFlight[clusterSlot]!--;
    this.#inFlight[endpointSlot]!--;
    if (retry) this.#retries[clusterSlot]!--;
  }

  observe(endpointSlot: number, latencyMs: number, failed: boolean, now: number): void {
    this.#averages.observe(endpointSlot, latencyMs, failed, now);
  }

  watchPeak(endpointSlot: number, now: number): void {
    this.#averages.watchPeak(endpointSlot, now);
  }

  expectedMs(endpointSlot: number, now: number): number {
    return this.#averages.expectedMs(endpointSlot, now);
  }

  warmSince(endpointSlot: number): number {
    return this.#warmSince[endpointSlot]!;
  }

  setWarmSince(endpointSlot: number, at: number): void {
    this.#warmSince[endpointSlot] = at;
  }

  inFlight(endpointSlot: number): number {
    return this.#inFlight[endpointSlot]!;
  }

  clusterInFlight(clusterSlot: number): number {
    return this.#inFlight[clusterSlot]!;
  }

  retriesInFlight(clusterSlot: number): number {
    return this.#retries[clusterSlot]!;
  }

  connections(clusterSlot: number): number {
    return this.#connections[clusterSlot]!;
  }

  addConnections(clusterSlot: number, by: number): void {
    this.#connections[clusterSlot]! += by;
  }

  pending(clusterSlot: number): number {
    return this.#pending[clusterSlot]!;
  }

  addPending(clusterSlot: number, by: number): void {
    this.#pending[clusterSlot]! += by;
  }

  countRecent(clusterSlot: number, windowMs: number, nowMs: number, retry: boolean): void {
    this.#recent.count(clusterSlot, windowMs, nowMs, retry);
  }

  recentRequests(clusterSlot: number, windowMs: number, nowMs: number): number {
    return this.#recent.requests(clusterSlot, windowMs, nowMs);
  }

  recentRetries(clusterSlot: number, windowMs: number, nowMs: number): number {
    return this.#recent.retries(clusterSlot, windowMs, nowMs);
  }

  noteRetried(requestHash: number, nowMs: number): void {
    this.#retried.note(requestHash, nowMs);
  }

  takeRetried(requestHash: number, nowMs: number): boolean {
    return this.#retried.take(requestHash, nowMs);
  }

  turn(clusterSlot: number): number {
    return this.#cursor[clusterSlot]!++;
  }

  nextTurn(clusterSlot: number): number {
    return this.#cursor[clusterSlot]!;
  }

  unhealthy(endpointSlot: number): number {
    return this.#unhealthy[endpointSlot]!;
  }

  setUnhealthy(endpointSlot: number, bit: number, on: boolean): void {
    const before = this.#unhealthy[endpointSlot]!;
    const after = on ? before | bit : before & ~bit;
    if (after === before) return;
    this.#unhealthy[endpointSlot] = after;
    this.#healthEpoch++;
  }

  takeUnhealthy(endpointSlot: number, bit: number): boolean {
    const wasSet = (this.#unhealthy[endpointSlot]! & bit) !== 0;
    this.setUnhealthy(endpointSlot, bit, false);
    return wasSet;
  }

  healthEpoch(): number {
    return this.#healthEpoch;
  }

  takeToken(key: string, kept: boolean, limit: TokenLimit, now: number): number {
    return this.#tokens.take(key, kept, limit, now);
  }

  tokens(key: string, kept: boolean, limit: TokenLimit, now: number): number {
    return this.#tokens.tokens(key, kept, limit, now);
  }

  activeFaults(): number {
    return this.#activeFaults;
  }

  addActiveFaults(by: number): void {
    this.#activeFaults += by;
  }

  latencyMs(slot: number): number {
    return this.#averages.latencyMs(slot);
  }

  failureRate(slot: number): number {
    return this.#averages.failureRate(slot);
  }
}
