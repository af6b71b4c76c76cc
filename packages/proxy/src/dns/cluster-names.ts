import { create, toBinary } from "@bufbuild/protobuf";
import type { Clock, Disposable, Logger, Timer } from "@tulle/base";
import type { DnsSettings, SnapshotSource } from "@tulle/engine";
import { RESOLVED_NAMES_TYPE } from "@tulle/xds";
import { ResolvedNamesSchema } from "@tulle/xds/gen/tulle/v1/resolved_names_pb.js";

import type { Counter, MetricsRegistry } from "../telemetry/metrics.js";
import type { Found, LookUp } from "./system-lookup.js";

/** Lookups under way at once: the system's block a thread each, of which a process has few. */
const MAX_RUNNING = 2;
/** A name that has not been found after so long counts as one that is not, for those who wait; the answer still counts. */
const PATIENCE_MS = 5000;
/** Nobody is asked more often, whatever the records say. */
const MIN_REFRESH_MS = 1000;
/** So that proxies do not all ask at the same time. */
const JITTER_MS = 100;

export interface ClusterNamesOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly configuration: SnapshotSource;
  readonly lookUp: LookUp;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  /** What a name stands for changed: the configuration is another one. */
  readonly onChanged: () => void;
}

/** A name that some cluster needs. */
interface Name {
  readonly name: string;
  settings: DnsSettings;
  /** Undefined until it was looked up. */
  addresses: readonly string[] | undefined;
  failures: number;
  timer: Timer | undefined;
}

/**
 * Keeps the addresses of clusters' names up to date: looks them up when a cluster comes, and again when their time is over. What
 * was found last counts until something else is found.
 */
export class ClusterNames implements Disposable {
  readonly #options: ClusterNamesOptions;
  readonly #names = new Map<string, Name>();
  readonly #queue: Name[] = [];
  /** What was applied last, by cluster. */
  readonly #applied = new Map<string, string>();
  readonly #succeeded: Counter;
  readonly #failed: Counter;
  #running = 0;
  #closed = false;

  constructor(options: ClusterNamesOptions) {
    this.#options = options;
    const lookups = options.metrics.counter("tulle_dns_lookups_total", "Lookups of clusters' names.");
    this.#succeeded = lookups.with(["result", "success"]);
    this.#failed = lookups.with(["result", "failure"]);
  }

  /** Call after every change of the configuration. */
  refresh(): void {
    const wanted = new Set<string>();
    const clusters = new Set<string>();
    for (const [cluster, settings] of this.#options.configuration.named()) {
      clusters.add(cluster);
      for (const name of settings.names) {
        const key = keyOf(name, settings);
        wanted.add(key);
        const known = this.#names.get(key);
        if (known !== undefined) known.settings = settings;
        else this.#begin(key, name, settings);
      }
    }
    for (const [key, name] of this.#names) {
      if (wanted.has(key)) continue;
      name.timer?.[Symbol.dispose]();
      this.#names.delete(key);
    }
    for (const cluster of this.#applied.keys()) if (!clusters.has(cluster)) this.#applied.delete(cluster);
    this.#apply();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const { timer } of this.#names.values()) timer?.[Symbol.dispose]();
    this.#names.clear();
    this.#queue.length = 0;
  }

  #begin(key: string, text: string, settings: DnsSettings): void {
    const name: Name = {
      name: text,
      settings,
      addresses: undefined,
      failures: 0,
      timer: undefined,
    };
    this.#names.set(key, name);
    name.timer = this.#options.clock.setTimeout(() => this.#onPatienceOver(name), PATIENCE_MS, {
      keepAlive: false,
    });
    this.#queue.push(name);
    this.#runNext();
  }

  #onPatienceOver(name: Name): void {
    if (name.addresses !== undefined) return;
    name.addresses = [];
    this.#apply();
  }

  #runNext(): void {
    while (this.#running < MAX_RUNNING) {
      const name = this.#queue.shift();
      if (name === undefined) return;
      if (!this.#isWanted(name)) continue;
      this.#running++;
      const { family, respectTtl } = name.settings;
      this.#options.lookUp(name.name, family, respectTtl).then(
        (found) => this.#onFound(name, found),
        (error: unknown) => this.#onNotFound(name, error),
      );
    }
  }

  #onFound(name: Name, { addresses, ttlMs = 0 }: Found): void {
    if (!this.#end(name)) return;
    this.#succeeded.inc();
    if (name.failures > 0) this.#options.logger.info("a name resolves again", { name: name.name });
    name.failures = 0;
    const { settings } = name;
    // In an order of their own, so that name servers that turn theirs around change nothing.
    name.addresses = settings.oneAddress ? addresses.slice(0, 1) : [...addresses].sort();
    this.#again(name, settings.respectTtl && ttlMs > 0 ? ttlMs : settings.refreshMs);
    this.#apply();
  }

  #onNotFound(name: Name, error: unknown): void {
    if (!this.#end(name)) return;
    this.#failed.inc();
    if (name.failures === 0)
      this.#options.logger.warn("a name does not resolve; what it stood for before counts", {
        name: name.name,
        error,
      });
    const { failureMs, maxFailureMs } = name.settings;
    const waitMs = Math.min(maxFailureMs, failureMs * 2 ** Math.min(name.failures, 20));
    name.failures++;
    name.addresses ??= [];
    this.#again(name, waitMs);
    this.#apply();
  }

  /** A lookup is over. Returns whether anybody still wants to know. */
  #end(name: Name): boolean {
    this.#running--;
    this.#runNext();
    return !this.#closed && this.#isWanted(name);
  }

  #isWanted(name: Name): boolean {
    return this.#names.get(keyOf(name.name, name.settings)) === name;
  }

  #again(name: Name, ms: number): void {
    const { clock, random } = this.#options;
    name.timer?.[Symbol.dispose]();
    const waitMs = Math.max(MIN_REFRESH_MS, ms) + JITTER_MS * random();
    name.timer = clock.setTimeout(
      () => {
        this.#queue.push(name);
        this.#runNext();
      },
      waitMs,
      { keepAlive: false },
    );
  }

  /** Tells the configuration what differs from what it was told. */
  #apply(): void {
    const { configuration, onChanged } = this.#options;
    const changes = [];
    for (const [cluster, settings] of configuration.named()) {
      const names = settings.names.map((name) => this.#names.get(keyOf(name, settings)));
      const addresses = names.map((name) => name?.addresses);
      if (addresses.includes(undefined)) continue;
      const text = JSON.stringify(names.map((name) => [name?.name, name?.addresses]));
      if (this.#applied.get(cluster) === text) continue;
      // Nothing is found, and from before a restart it is known where they were.
      const isLost = addresses.every((found) => found?.length === 0);
      if (isLost && !this.#applied.has(cluster) && configuration.version(RESOLVED_NAMES_TYPE, cluster) !== "")
        continue;
      this.#applied.set(cluster, text);
      const message = create(ResolvedNamesSchema, {
        names: names.map((name) => ({ name: name?.name ?? "", addresses: [...(name?.addresses ?? [])] })),
      });
      const bytes = toBinary(ResolvedNamesSchema, message);
      changes.push({ typeUrl: RESOLVED_NAMES_TYPE, name: cluster, version: "1", bytes });
    }
    if (changes.length === 0) return;
    for (const { name, message } of configuration.apply(changes))
      this.#options.logger.warn("addresses of a cluster's names are not used", {
        cluster: name,
        why: message,
      });
    onChanged();
  }
}

/** Clusters that want the same of a name share its lookups; those that keep to one address go by themselves. */
function keyOf(name: string, { family, oneAddress, respectTtl, refreshMs }: DnsSettings): string {
  return [name, family, oneAddress, respectTtl, refreshMs].join("|");
}
