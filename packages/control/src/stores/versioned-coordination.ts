import { disposable, MeshError, type Clock, type Disposable, type Timer } from "@tulle/base";

import type {
  Compare,
  Coordination,
  KeyEvent,
  KeyValue,
  LeaseId,
  Operation,
  TxnResult,
} from "./coordination.js";
import { Elections } from "./elections.js";
import type { Entry, EntryChange, Stage, VersionedMap } from "./versioned-map.js";

const KEYS = "key\u0000";
const LEASES = "lease\u0000";

/** Etcd's own bound is 1.5 MiB; ours leaves room for the record around the value. */
const MAX_VALUE_BYTES = 1024 * 1024;

interface Lease {
  readonly ttlMs: number;
  timer: Timer;
}

/** {@link Coordination} over a {@link VersionedMap}: one process, so leases and elections live in its memory. */
export class VersionedCoordination implements Coordination {
  readonly #map: VersionedMap;
  readonly #clock: Clock;
  readonly #leases = new Map<LeaseId, Lease>();
  readonly #elections = new Elections();
  readonly #watchers = new Set<{ readonly prefix: string; readonly listener: (event: KeyEvent) => void }>();
  readonly #subscription: Disposable;

  constructor(map: VersionedMap, clock: Clock) {
    this.#map = map;
    this.#clock = clock;
    this.#subscription = map.onChanged((changes) => this.#onChanged(changes));
    for (const entry of map.range(LEASES)) this.#startLease(leaseId(entry.key), entry.value as number);
  }

  get(key: string): Promise<KeyValue | undefined> {
    const entry = this.#map.get(KEYS + key);
    return Promise.resolve(entry === undefined ? undefined : keyValue(entry));
  }

  range(prefix: string): Promise<readonly KeyValue[]> {
    return Promise.resolve(this.#map.range(KEYS + prefix).map(keyValue));
  }

  async txn(compares: readonly Compare[], operations: readonly Operation[]): Promise<TxnResult> {
    for (const operation of operations) checkOperation(operation);
    const succeeded = await this.#map.write((stage) => {
      if (!compares.every((compare) => holds(stage, compare))) return false;
      for (const operation of operations) this.#apply(stage, operation);
      return true;
    });
    return { succeeded, revision: this.#map.revision };
  }

  watch(prefix: string, listener: (event: KeyEvent) => void): Disposable {
    const watcher = { prefix: KEYS + prefix, listener };
    this.#watchers.add(watcher);
    return disposable(() => this.#watchers.delete(watcher));
  }

  async grantLease(ttlMs: number): Promise<LeaseId> {
    if (!(ttlMs >= 1)) throw new MeshError("invalid", "COORDINATION_TTL", "a lease lives for at least 1 ms");
    const id = await this.#map.write((stage) => {
      const next = stage.nextRevision;
      stage.put(LEASES + next, ttlMs);
      return next;
    });
    this.#startLease(id, ttlMs);
    return id;
  }

  async keepAlive(lease: LeaseId): Promise<void> {
    const known = this.#leases.get(lease);
    if (known === undefined) throw leaseGone(lease);
    known.timer[Symbol.dispose]();
    known.timer = this.#expiry(lease, known.ttlMs);
  }

  async revokeLease(lease: LeaseId): Promise<void> {
    this.#leases.get(lease)?.timer[Symbol.dispose]();
    this.#leases.delete(lease);
    await this.#map.write((stage) => {
      for (const key of stage.keys(KEYS)) if (stage.get(key)?.lease === lease) stage.delete(key);
      stage.delete(LEASES + lease);
    });
  }

  campaign(
    name: string,
    candidate: string,
    callbacks: { readonly onElected: () => void; readonly onLost: () => void },
  ): Disposable {
    return this.#elections.campaign(name, candidate, callbacks);
  }

  close(): Promise<void> {
    this.#subscription[Symbol.dispose]();
    for (const { timer } of this.#leases.values()) timer[Symbol.dispose]();
    this.#leases.clear();
    this.#watchers.clear();
    return this.#map.close();
  }

  #apply(stage: Stage, operation: Operation): void {
    switch (operation.op) {
      case "put": {
        const lease = operation.lease ?? 0;
        if (lease !== 0 && stage.get(LEASES + lease) === undefined) throw leaseGone(lease);
        stage.put(KEYS + operation.key, operation.value, lease);
        return;
      }
      case "delete":
        stage.delete(KEYS + operation.key);
        return;
      case "delete-prefix":
        for (const key of stage.keys(KEYS + operation.prefix)) stage.delete(key);
        return;
    }
  }

  #startLease(id: LeaseId, ttlMs: number): void {
    this.#leases.set(id, { ttlMs, timer: this.#expiry(id, ttlMs) });
  }

  #expiry(id: LeaseId, ttlMs: number): Timer {
    return this.#clock.setTimeout(
      () => {
        // A failed expiry is tried again: a lease must not outlive its time because the disk was busy.
        this.revokeLease(id).catch(() => {
          if (!this.#leases.has(id)) this.#startLease(id, Math.min(ttlMs, 1000));
        });
      },
      ttlMs,
      { keepAlive: false },
    );
  }

  #onChanged(changes: readonly EntryChange[]): void {
    for (const { type, entry } of changes) {
      if (!entry.key.startsWith(KEYS)) continue;
      for (const { prefix, listener } of this.#watchers) {
        if (entry.key.startsWith(prefix)) listener({ type, kv: keyValue(entry) });
      }
    }
  }
}

function checkOperation(operation: Operation): void {
  if (operation.op === "put" && operation.value.length > MAX_VALUE_BYTES) {
    throw new MeshError(
      "invalid",
      "COORDINATION_VALUE_SIZE",
      `the value of ${operation.key} has ${operation.value.length} bytes, at most ${MAX_VALUE_BYTES} are kept`,
    );
  }
}

function holds(stage: Stage, compare: Compare): boolean {
  const entry = stage.get(KEYS + compare.key);
  return "absent" in compare ? entry === undefined : entry?.modRevision === compare.modRevision;
}

function keyValue(entry: Entry): KeyValue {
  return {
    key: entry.key.slice(KEYS.length),
    value: entry.value as Uint8Array,
    createRevision: entry.createRevision,
    modRevision: entry.modRevision,
    lease: entry.lease,
  };
}

function leaseId(key: string): LeaseId {
  return Number(key.slice(LEASES.length));
}

function leaseGone(lease: LeaseId): MeshError {
  return new MeshError("not-found", "COORDINATION_LEASE_GONE", `lease ${lease} has expired: grant a new one`);
}
