import type { LoadTable } from "../contract.js";

/** The load table as its owner sees it: slots are handed out and taken back here. */
export interface SlotTable extends LoadTable {
  /**
   * The slot of an identity (`10.0.0.7:8080`, `cluster:<name>`), one reference more. -1 when the table is full.
   * The same identity has the same slot for as long as anybody holds it or requests are under way on it.
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
  /** Endpoints and clusters together; default 65,536 (about 2 MB of address space, touched only as far as used). */
  readonly maxSlots?: number;
  /**
   * Where the round-robin cursors start, so that a fleet of proxies that starts together does not send its first
   * requests to the same endpoint; default 0.
   */
  readonly seed?: number;
}

/** Weight of one observation in the moving averages: about the last 16 count. */
const OBSERVATION_WEIGHT = 1 / 8;

/** Slot of what has no slot: a cluster that does not exist. Counts on it mean nothing. */
export const NO_SLOT = 0;

/** A load table in typed arrays. */
export function createLoadTable(options: LoadTableOptions = {}): SlotTable {
  return new TypedArrayLoadTable(options.maxSlots ?? 65_536, options.seed ?? 0);
}

/**
 * One row per slot. A released slot is handed out again only when nothing is in flight on it, because a request may
 * outlive the configuration that it was routed by; then oldest release first.
 */
class TypedArrayLoadTable implements SlotTable {
  readonly #maxSlots: number;
  readonly #inFlight: Int32Array;
  readonly #retries: Int32Array;
  readonly #cursor: Uint32Array;
  readonly #latencyMs: Float64Array;
  readonly #failures: Float64Array;
  readonly #references: Int32Array;
  readonly #identities: (string | undefined)[] = [undefined];
  readonly #slots = new Map<string, number>();
  readonly #free: number[] = [];
  readonly #seed: number;

  constructor(maxSlots: number, seed: number) {
    this.#maxSlots = maxSlots;
    this.#seed = seed >>> 0;
    this.#inFlight = new Int32Array(maxSlots);
    this.#retries = new Int32Array(maxSlots);
    this.#cursor = new Uint32Array(maxSlots);
    this.#latencyMs = new Float64Array(maxSlots);
    this.#failures = new Float64Array(maxSlots);
    this.#references = new Int32Array(maxSlots);
  }

  acquire(identity: string): number {
    const known = this.#slots.get(identity);
    if (known !== undefined) {
      this.#references[known]!++;
      return known;
    }
    const slot = this.#take();
    if (slot < 0) return slot;
    this.#slots.set(identity, slot);
    this.#identities[slot] = identity;
    this.#references[slot] = 1;
    this.#cursor[slot] = this.#seed;
    this.#latencyMs[slot] = 0;
    this.#failures[slot] = 0;
    return slot;
  }

  release(slot: number): void {
    if (slot === NO_SLOT || this.#references[slot]! <= 0) return;
    this.#references[slot]!--;
    this.#retire(slot);
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
    this.#retire(clusterSlot);
    this.#retire(endpointSlot);
  }

  observe(endpointSlot: number, latencyMs: number, failed: boolean): void {
    const before = this.#latencyMs[endpointSlot]!;
    this.#latencyMs[endpointSlot] =
      before === 0 ? latencyMs : before + (latencyMs - before) * OBSERVATION_WEIGHT;
    const failures = this.#failures[endpointSlot]!;
    this.#failures[endpointSlot] = failures + ((failed ? 1 : 0) - failures) * OBSERVATION_WEIGHT;
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

  turn(clusterSlot: number): number {
    return this.#cursor[clusterSlot]!++;
  }

  latencyMs(slot: number): number {
    return this.#latencyMs[slot]!;
  }

  failureRate(slot: number): number {
    return this.#failures[slot]!;
  }

  #take(): number {
    const fresh = this.#identities.length;
    if (fresh < this.#maxSlots) {
      this.#identities.push(undefined);
      return fresh;
    }
    // A request that picked just before the release may have begun since: such a slot comes back when it ends.
    for (;;) {
      const slot = this.#free.shift();
      if (slot === undefined) return -1;
      if (this.#inFlight[slot] === 0) return slot;
    }
  }

  /** Frees a slot that nobody holds and nothing runs on; its identity then starts afresh. */
  #retire(slot: number): void {
    if (slot === NO_SLOT || this.#references[slot] !== 0 || this.#inFlight[slot] !== 0) return;
    const identity = this.#identities[slot];
    if (identity !== undefined) {
      this.#slots.delete(identity);
      this.#identities[slot] = undefined;
    } else if (this.#free.includes(slot)) {
      return;
    }
    this.#free.push(slot);
  }
}
