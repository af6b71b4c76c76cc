import { Averages } from "./averages.js";
import { Controllers } from "./controllers.js";
import { DEFAULT_MAX_SLOTS, type LoadTableOptions, type SlotTable } from "./load-table.js";
import { RECENT_COLUMNS, RecentCounts } from "./recent-counts.js";
import { reportBytes, ReportedLoads } from "./reported-loads.js";
import { RETRIED_BYTES, RetriedRequests } from "./retried-requests.js";
import type { TokenLimit } from "../contract.js";
import { SharedTokenBuckets, TOKEN_BYTES } from "./shared-token-buckets.js";
import { resultBytes, ResultTable } from "./result-table.js";
import { SlotAllocator } from "./slot-allocator.js";

/** The rows of a load table in memory that threads share. Goes to them as it is. */
export interface SharedLoad {
  readonly maxSlots: number;
  readonly memory: SharedArrayBuffer;
  readonly tokens: SharedArrayBuffer;
  /** When the owner's monotonic clock began. */
  readonly clockOriginMs: number;
  readonly seed: number;
  readonly identity: number;
  readonly results: SharedArrayBuffer;
  readonly reports: SharedArrayBuffer;
}

/** An identity and its slot. */
export type SlotEntry = readonly [identity: string, slot: number];

/** What became of the slots since somebody asked last. */
export interface SlotChanges {
  readonly assigned: readonly SlotEntry[];
  /** Their identity may have another slot by now. */
  readonly freed: readonly SlotEntry[];
}

/**
 * The side of the one thread that hands out slots. The others hold what it has assigned: they must be told of
 * assignments before they link the configuration that needs them.
 */
export interface SharedSlotOwner extends SlotTable {
  readonly shared: SharedLoad;
  /** Every identity that has a slot: for a thread that starts. */
  entries(): readonly SlotEntry[];
  /** What changed since the last call. */
  takeChanges(): SlotChanges;
}

/** The side of a thread that is told which slots there are. */
export interface SharedSlotHolder extends SlotTable {
  assign(entries: readonly SlotEntry[]): void;
  free(entries: readonly SlotEntry[]): void;
}

/** A load table whose counts hold across threads; this thread hands out its slots. */
export function createSharedLoadTable(options: LoadTableOptions = {}): SharedSlotOwner {
  const { maxSlots = DEFAULT_MAX_SLOTS, seed = 0, identity = 0, clockOriginMs = 0 } = options;
  return new OwnedTable(maxSlots, seed >>> 0, identity >>> 0, clockOriginMs);
}

/** The same table in another thread. `clockOriginMs`: as the owner's, of this thread. */
export function openSharedLoadTable(shared: SharedLoad, clockOriginMs = 0): SharedSlotHolder {
  return new HeldTable(shared, clockOriginMs);
}

/** Four averages and the time of warming of 8 bytes; four counts, the cursor, what makes unhealthy, what was counted lately of 4. */
const WIDE_ROWS = 5;
const BYTES_PER_SLOT = WIDE_ROWS * 8 + (6 + RECENT_COLUMNS) * 4;
/** After the rows: the epoch of health, the active faults, and requests whose retries are used up. */
const BYTES_AFTER_SLOTS = 8 + RETRIED_BYTES;

/**
 * Counts that limits depend on change by atomic operations. The averages do not: of two observations at the very same
 * time one may be lost. A limit that is looked at first and counted on after may be passed by one request for each
 * other thread, as with Envoy's.
 */
abstract class SharedTable {
  readonly shared: SharedLoad;
  readonly identity: number;
  readonly reports: ReportedLoads;
  readonly results: ResultTable;
  /** This thread's own. */
  readonly controllers: Controllers;
  protected readonly cursor: Uint32Array;
  protected readonly averages: Averages;
  protected readonly warmTimes: Float64Array;
  readonly #inFlight: Int32Array;
  readonly #retries: Int32Array;
  readonly #connections: Int32Array;
  readonly #pending: Int32Array;
  protected readonly unhealthyBits: Int32Array;
  readonly #healthEpoch: Int32Array;
  protected readonly recent: RecentCounts;
  readonly #retried: RetriedRequests;
  readonly #activeFaults: Int32Array;

  readonly #tokens: SharedTokenBuckets;
  /** Added to this thread's times, it makes them the owner's. */
  readonly #clockOffsetMs: number;

  constructor(shared: SharedLoad, clockOriginMs: number) {
    this.shared = shared;
    this.#clockOffsetMs = clockOriginMs - shared.clockOriginMs;
    this.controllers = new Controllers((shared.seed ^ Math.round(clockOriginMs)) >>> 0);
    const { maxSlots, memory } = shared;
    this.identity = shared.identity;
    this.reports = new ReportedLoads(shared.reports, maxSlots, this.#clockOffsetMs);
    this.results = new ResultTable(shared.results, maxSlots);
    const wide = (index: number): Float64Array => new Float64Array(memory, 8 * index * maxSlots, maxSlots);
    this.averages = new Averages(wide(0), wide(1), wide(2), wide(3));
    this.warmTimes = wide(4);
    const narrow = (index: number): number => (8 * WIDE_ROWS + 4 * index) * maxSlots;
    const counts = (index: number): Int32Array => new Int32Array(memory, narrow(index), maxSlots);
    this.#inFlight = counts(0);
    this.#retries = counts(1);
    this.#connections = counts(2);
    this.#pending = counts(3);
    this.cursor = new Uint32Array(memory, narrow(4), maxSlots);
    this.unhealthyBits = counts(5);
    this.#healthEpoch = new Int32Array(memory, BYTES_PER_SLOT * maxSlots, 1);
    this.recent = new RecentCounts((index) => counts(6 + index));
    this.#retried = new RetriedRequests(memory, BYTES_PER_SLOT * maxSlots + 8);
    this.#activeFaults = new Int32Array(memory, BYTES_PER_SLOT * maxSlots + 4, 1);
    this.#tokens = new SharedTokenBuckets(shared.tokens, shared.seed);
  }

  begin(clusterSlot: number, endpointSlot: number, retry = false): void {
    Atomics.add(this.#inFlight, clusterSlot, 1);
    Atomics.add(this.#inFlight, endpointSlot, 1);
    if (retry) Atomics.add(this.#retries, clusterSlot, 1);
  }

  end(clusterSlot: number, endpointSlot: number, retry = false): void {
    Atomics.sub(this.#inFlight, clusterSlot, 1);
    Atomics.sub(this.#inFlight, endpointSlot, 1);
    if (retry) Atomics.sub(this.#retries, clusterSlot, 1);
  }

  observe(endpointSlot: number, latencyMs: number, failed: boolean, now: number): void {
    this.averages.observe(endpointSlot, latencyMs, failed, now);
  }

  watchPeak(endpointSlot: number, now: number): void {
    this.averages.watchPeak(endpointSlot, now);
  }

  expectedMs(endpointSlot: number, now: number): number {
    return this.averages.expectedMs(endpointSlot, now);
  }

  warmSince(endpointSlot: number): number {
    return this.warmTimes[endpointSlot]!;
  }

  setWarmSince(endpointSlot: number, at: number): void {
    this.warmTimes[endpointSlot] = at;
  }

  inFlight(endpointSlot: number): number {
    return Atomics.load(this.#inFlight, endpointSlot);
  }

  clusterInFlight(clusterSlot: number): number {
    return Atomics.load(this.#inFlight, clusterSlot);
  }

  retriesInFlight(clusterSlot: number): number {
    return Atomics.load(this.#retries, clusterSlot);
  }

  connections(clusterSlot: number): number {
    return Atomics.load(this.#connections, clusterSlot);
  }

  addConnections(clusterSlot: number, by: number): void {
    Atomics.add(this.#connections, clusterSlot, by);
  }

  pending(clusterSlot: number): number {
    return Atomics.load(this.#pending, clusterSlot);
  }

  addPending(clusterSlot: number, by: number): void {
    Atomics.add(this.#pending, clusterSlot, by);
  }

  countRecent(clusterSlot: number, windowMs: number, nowMs: number, retry: boolean): void {
    this.recent.count(clusterSlot, windowMs, nowMs, retry);
  }

  recentRequests(clusterSlot: number, windowMs: number, nowMs: number): number {
    return this.recent.requests(clusterSlot, windowMs, nowMs);
  }

  recentRetries(clusterSlot: number, windowMs: number, nowMs: number): number {
    return this.recent.retries(clusterSlot, windowMs, nowMs);
  }

  noteRetried(requestHash: number, nowMs: number): void {
    this.#retried.note(requestHash, nowMs);
  }

  takeRetried(requestHash: number, nowMs: number): boolean {
    return this.#retried.take(requestHash, nowMs);
  }

  turn(clusterSlot: number): number {
    return Atomics.add(this.cursor, clusterSlot, 1);
  }

  nextTurn(clusterSlot: number): number {
    return Atomics.load(this.cursor, clusterSlot);
  }

  unhealthy(endpointSlot: number): number {
    return Atomics.load(this.unhealthyBits, endpointSlot);
  }

  setUnhealthy(endpointSlot: number, bit: number, on: boolean): void {
    if (!on) {
      this.takeUnhealthy(endpointSlot, bit);
      return;
    }
    const before = Atomics.or(this.unhealthyBits, endpointSlot, bit);
    if ((before & bit) === 0) Atomics.add(this.#healthEpoch, 0, 1);
  }

  takeUnhealthy(endpointSlot: number, bit: number): boolean {
    const wasSet = (Atomics.and(this.unhealthyBits, endpointSlot, ~bit) & bit) !== 0;
    if (wasSet) Atomics.add(this.#healthEpoch, 0, 1);
    return wasSet;
  }

  healthEpoch(): number {
    return Atomics.load(this.#healthEpoch, 0);
  }

  takeToken(key: string, kept: boolean, limit: TokenLimit, now: number): number {
    return this.#tokens.take(key, kept, limit, now + this.#clockOffsetMs);
  }

  tokens(key: string, kept: boolean, limit: TokenLimit, now: number): number {
    return this.#tokens.tokens(key, kept, limit, now + this.#clockOffsetMs);
  }

  activeFaults(): number {
    return Atomics.load(this.#activeFaults, 0);
  }

  addActiveFaults(by: number): void {
    Atomics.add(this.#activeFaults, 0, by);
  }

  latencyMs(slot: number): number {
    return this.averages.latencyMs(slot);
  }

  failureRate(slot: number): number {
    return this.averages.failureRate(slot);
  }

  protected isIdle(slot: number): boolean {
    return this.inFlight(slot) === 0 && this.connections(slot) === 0 && this.pending(slot) === 0;
  }
}

class OwnedTable extends SharedTable implements SharedSlotOwner {
  readonly #slots: SlotAllocator;
  readonly #seed: number;
  #assigned: SlotEntry[] = [];
  #freed: SlotEntry[] = [];

  constructor(maxSlots: number, seed: number, identity: number, clockOriginMs: number) {
    const shared = {
      maxSlots,
      memory: new SharedArrayBuffer(maxSlots * BYTES_PER_SLOT + BYTES_AFTER_SLOTS),
      results: new SharedArrayBuffer(resultBytes(maxSlots)),
      reports: new SharedArrayBuffer(reportBytes(maxSlots)),
      tokens: new SharedArrayBuffer(TOKEN_BYTES),
      clockOriginMs,
      seed,
      identity,
    };
    super(shared, clockOriginMs);
    this.#seed = seed;
    this.#slots = new SlotAllocator(
      new Int32Array(maxSlots),
      (slot) => this.isIdle(slot),
      (identity, slot) => this.#freed.push([identity, slot]),
    );
  }

  acquire(identity: string): number {
    const known = this.#slots.hold(identity);
    if (known !== undefined) return known;
    const slot = this.#slots.assign(identity);
    if (slot < 0) return slot;
    this.cursor[slot] = this.#seed;
    this.unhealthyBits[slot] = 0;
    this.warmTimes[slot] = 0;
    this.results.reset(slot);
    this.reports.reset(slot);
    this.averages.reset(slot);
    this.recent.reset(slot);
    this.#assigned.push([identity, slot]);
    return slot;
  }

  release(slot: number): void {
    this.#slots.release(slot);
  }

  entries(): readonly SlotEntry[] {
    return [...this.#slots.entries()];
  }

  takeChanges(): SlotChanges {
    const changes = { assigned: this.#assigned, freed: this.#freed };
    this.#assigned = [];
    this.#freed = [];
    return changes;
  }
}

class HeldTable extends SharedTable implements SharedSlotHolder {
  readonly #slots = new Map<string, number>();

  assign(entries: readonly SlotEntry[]): void {
    for (const [identity, slot] of entries) this.#slots.set(identity, slot);
  }

  free(entries: readonly SlotEntry[]): void {
    for (const [identity, slot] of entries) {
      if (this.#slots.get(identity) === slot) this.#slots.delete(identity);
    }
  }

  acquire(identity: string): number {
    return this.#slots.get(identity) ?? -1;
  }

  /** The owner counts who holds a slot: it compiles the same configuration. */
  release(): void {}
}
