import {
  Backoff,
  DisposableStack,
  Emitter,
  MeshError,
  MutableDisposable,
  type Clock,
  type Disposable,
  type Event,
  type Logger,
  type Timer,
} from "@tulle/base";

import type { Compare, Coordination, Operation, TxnResult } from "../stores/coordination.js";
import { BLOCK_SIZE, blockAddress, firstIndex } from "./address-block.js";
import { ADDRESSES, decodeAllocation, encodeAllocation, HOSTS, type Allocation } from "./allocation.js";

/** An address is not given to another host for so long after its host went, milliseconds: clients cache addresses. */
export const KEEP_RELEASED_MS = 86_400_000;
const SWEEP_MS = 3_600_000;
/** Hosts that are given addresses in one transaction. */
const BATCH = 128;
/** Compare-and-swap attempts for one host before the store is read anew. */
const MAX_TRIES = 8;

export interface VirtualIpsOptions {
  readonly coordination: Coordination;
  /** Hosts in full, lower-case, that should have an address now. Read after every `refresh`. */
  readonly hosts: () => Iterable<string>;
  readonly clock: Clock;
  /** Numbers in [0, 1), for the back-off's jitter. */
  readonly random: () => number;
  readonly logger: Logger;
}

/** Which host has which virtual IP. */
export interface VirtualIps extends Disposable {
  /** The address of a host that exists; undefined while it has none. */
  addressOf(host: string): string | undefined;
  /** The hosts may have changed: allocates and releases soon. Never throws. */
  refresh(): void;
  /** Resolves when nothing is left to allocate or release. */
  settled(): Promise<void>;
  /** The answers of `addressOf` have changed. */
  readonly onChanged: Event<void>;
}

/** Reads what was allocated before and starts to allocate. Rejects when the store cannot be read. */
export async function createVirtualIps(options: VirtualIpsOptions): Promise<VirtualIps> {
  const ips = new StoredVirtualIps(options);
  await ips.load();
  ips.refresh();
  return ips;
}

/**
 * One address of 240.240.0.0/16 for each host, stored: the host keeps it over restarts, and for a day after it is gone.
 * Every write compares first, so that control planes on one store agree. One pass runs at a time; what changes meanwhile
 * is seen by the next.
 */
class StoredVirtualIps implements VirtualIps {
  readonly #options: VirtualIpsOptions;
  readonly #owned = new DisposableStack();
  readonly #changes: Emitter<void>;
  readonly #backoff: Backoff;
  readonly #retry = this.#owned.use(new MutableDisposable<Timer>());
  #allocations = new Map<string, Allocation>();
  readonly #taken = new Set<string>();
  #pass: Promise<void> | undefined;
  #due = false;
  #disposed = false;

  constructor(options: VirtualIpsOptions) {
    const { clock, logger, random } = options;
    this.#options = options;
    this.#backoff = new Backoff({ baseMs: 100, maxMs: 10_000 }, random);
    this.#changes = new Emitter((error) => logger.error("a listener of virtual IPs failed", { error }));
    this.#owned.use(clock.setInterval(() => this.refresh(), SWEEP_MS, { keepAlive: false }));
  }

  get onChanged(): Event<void> {
    return this.#changes.event;
  }

  addressOf(host: string): string | undefined {
    const allocation = this.#allocations.get(host);
    return allocation?.releasedAt === undefined ? allocation?.ip : undefined;
  }

  async load(): Promise<void> {
    const { coordination, logger } = this.#options;
    const found = new Map<string, Allocation>();
    for (const record of await coordination.range(HOSTS)) {
      const allocation = decodeAllocation(record);
      if (allocation === undefined) logger.warn("a virtual IP's record is damaged", { key: record.key });
      else found.set(allocation.host, allocation);
    }
    this.#allocations = found;
    this.#taken.clear();
    for (const { key } of await coordination.range(ADDRESSES)) this.#taken.add(key.slice(ADDRESSES.length));
  }

  refresh(): void {
    if (this.#disposed) return;
    this.#due = true;
    this.#pass ??= this.#run();
  }

  async settled(): Promise<void> {
    while (this.#pass !== undefined) await this.#pass;
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#owned[Symbol.dispose]();
  }

  async #run(): Promise<void> {
    // Changes of one turn are one pass.
    await Promise.resolve();
    try {
      while (this.#due && !this.#disposed) {
        this.#due = false;
        if (await this.#reconcile()) this.#changes.emit();
      }
      this.#backoff.reset();
    } catch (thrown) {
      this.#retryLater(thrown);
    } finally {
      this.#pass = undefined;
    }
  }

  #retryLater(thrown: unknown): void {
    if (this.#disposed) return;
    const delayMs = this.#backoff.next();
    this.#options.logger.warn("virtual IPs cannot be stored; trying again", { error: thrown, delayMs });
    this.#retry.value = this.#options.clock.setTimeout(() => this.refresh(), delayMs, { keepAlive: false });
    // What was written before the failure is in force.
    this.#changes.emit();
  }

  /** Brings the store in line with the hosts. Returns whether an answer has changed. */
  async #reconcile(): Promise<boolean> {
    const wanted = new Set(this.#options.hosts());
    const now = this.#options.clock.now();
    let changed = false;
    const fresh = [...wanted].filter((host) => !this.#allocations.has(host));
    for (let at = 0; at < fresh.length; at += BATCH) {
      const batch = fresh.slice(at, at + BATCH);
      if (await this.#allocateAll(batch)) changed = true;
      // Somebody else took one of them: each on its own, then.
      else for (const host of batch) changed = (await this.#allocate(host)) || changed;
    }
    for (const host of wanted) {
      const allocation = this.#allocations.get(host);
      if (allocation === undefined) continue;
      if (allocation.releasedAt !== undefined)
        changed = (await this.#write(allocation, undefined)) || changed;
    }
    for (const allocation of this.#allocations.values()) {
      if (wanted.has(allocation.host)) continue;
      if (allocation.releasedAt === undefined) changed = (await this.#write(allocation, now)) || changed;
      else if (now - allocation.releasedAt >= KEEP_RELEASED_MS) await this.#free(allocation);
    }
    return changed;
  }

  /** Gives all of these hosts addresses in one transaction, or none of them. */
  async #allocateAll(hosts: readonly string[]): Promise<boolean> {
    const compares: Compare[] = [];
    const operations: Operation[] = [];
    const given = new Map<string, string>();
    for (const host of hosts) {
      const ip = this.#freeAddress(host);
      if (ip === undefined) break;
      this.#taken.add(ip);
      given.set(host, ip);
      compares.push({ key: HOSTS + host, absent: true }, { key: ADDRESSES + ip, absent: true });
      operations.push(
        { op: "put", key: HOSTS + host, value: encodeAllocation(ip, undefined) },
        { op: "put", key: ADDRESSES + ip, value: Buffer.from(host) },
      );
    }
    let result: TxnResult | undefined;
    try {
      if (given.size === hosts.length) result = await this.#tryTxn(compares, operations);
    } finally {
      for (const [host, ip] of given) {
        if (result === undefined) this.#taken.delete(ip);
        else this.#allocations.set(host, { host, ip, releasedAt: undefined, revision: result.revision });
      }
    }
    return result !== undefined;
  }

  async #allocate(host: string): Promise<boolean> {
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      const ip = this.#freeAddress(host);
      if (ip === undefined) {
        this.#options.logger.error("no virtual IP is left; services beyond have none", { host });
        return false;
      }
      const { succeeded, revision } = await this.#options.coordination.txn(
        [
          { key: HOSTS + host, absent: true },
          { key: ADDRESSES + ip, absent: true },
        ],
        [
          { op: "put", key: HOSTS + host, value: encodeAllocation(ip, undefined) },
          { op: "put", key: ADDRESSES + ip, value: Buffer.from(host) },
        ],
      );
      this.#taken.add(ip);
      if (succeeded) {
        this.#allocations.set(host, { host, ip, releasedAt: undefined, revision });
        return true;
      }
      // Another control plane was first: with this host, or with this address.
      if (await this.#reread(host)) return true;
    }
    throw new MeshError("conflict", "VIRTUAL_IPS_CONTENDED", `no virtual IP could be taken for ${host}`);
  }

  /** Marks an allocation as released at a time, or as in use again. */
  async #write(allocation: Allocation, releasedAt: number | undefined): Promise<boolean> {
    const { host, ip } = allocation;
    const { succeeded, revision } = await this.#options.coordination.txn(
      [{ key: HOSTS + host, modRevision: allocation.revision }],
      [{ op: "put", key: HOSTS + host, value: encodeAllocation(ip, releasedAt) }],
    );
    if (succeeded) {
      this.#allocations.set(host, { host, ip, releasedAt, revision });
    } else {
      await this.#reread(host);
      this.#due = true;
    }
    return true;
  }

  async #free({ host, ip, revision }: Allocation): Promise<void> {
    const { succeeded } = await this.#options.coordination.txn(
      [{ key: HOSTS + host, modRevision: revision }],
      [
        { op: "delete", key: HOSTS + host },
        { op: "delete", key: ADDRESSES + ip },
      ],
    );
    if (!succeeded) {
      await this.#reread(host);
      return;
    }
    this.#allocations.delete(host);
    this.#taken.delete(ip);
  }

  /** Takes in what the store has for a host now. Returns whether the host has an address by that. */
  async #reread(host: string): Promise<boolean> {
    const record = await this.#options.coordination.get(HOSTS + host);
    const allocation = record && decodeAllocation(record);
    if (allocation === undefined) this.#allocations.delete(host);
    else this.#allocations.set(host, allocation);
    return allocation !== undefined && allocation.releasedAt === undefined;
  }

  #freeAddress(host: string): string | undefined {
    const first = firstIndex(host);
    for (let step = 0; step < BLOCK_SIZE; step++) {
      const address = blockAddress(first + step);
      if (!this.#taken.has(address)) return address;
    }
    return undefined;
  }

  /** The result of a transaction that was applied, else undefined. */
  async #tryTxn(
    compares: readonly Compare[],
    operations: readonly Operation[],
  ): Promise<TxnResult | undefined> {
    const result = await this.#options.coordination.txn(compares, operations);
    return result.succeeded ? result : undefined;
  }
}
