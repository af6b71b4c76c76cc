import { readTraffic, type ObservedTraffic, type ProxyName } from "@tulle/api";
import { MutableDisposable, type Clock, type Disposable, type Logger, type Timer } from "@tulle/base";

import type { Coordination } from "../stores/coordination.js";

const PREFIX = "observed-traffic/";
/** Somebody wants traffic to be observed. */
const WANTED_KEY = "observe-traffic";
/** What proxies observe is asked for and kept so often, and for so long, milliseconds. */
const KEEP_EVERY_MS = 30_000;
const KEEP_MS = 7 * 86_400_000;
/** Reports kept, and bytes of one, at most. */
const MAX_REPORTS = 2000;
const MAX_BYTES = 256 * 1024;

type Told = ObservedTraffic["proxies"][number];

/** What one proxy observed from one start of the observation on, as it is stored. */
interface Kept extends Told {
  /** When it was told, milliseconds since the epoch. */
  readonly at: number;
}

export interface KeptTrafficOptions {
  readonly coordination: Coordination;
  /** Asks the connected proxies. */
  readonly ask: () => Promise<ObservedTraffic>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * What proxies observed, in the store: it outlives them, and the control plane. Kept from twice a minute on for a week, while
 * somebody wants traffic to be observed.
 */
export class KeptTraffic implements Disposable {
  readonly #options: KeptTrafficOptions;
  readonly #timer = new MutableDisposable<Timer>();
  #wanted = false;

  private constructor(options: KeptTrafficOptions) {
    this.#options = options;
  }

  /** Goes on keeping where a control plane before it did. */
  static async open(options: KeptTrafficOptions): Promise<KeptTraffic> {
    const kept = new KeptTraffic(options);
    kept.#wanted = (await options.coordination.get(WANTED_KEY)) !== undefined;
    kept.#keepLater();
    return kept;
  }

  /** Traffic is observed from now on. */
  async begin(): Promise<void> {
    this.#wanted = true;
    await this.#options.coordination.txn([], [{ op: "put", key: WANTED_KEY, value: Buffer.from("1") }]);
    this.#keepLater();
  }

  /** Forgets what proxies of some namespaces observed. */
  async forget(concerns: (namespace: string) => boolean): Promise<void> {
    const { coordination } = this.#options;
    const records = await this.#load();
    for (const [key, { proxy }] of records)
      if (concerns(proxy.namespace)) await coordination.txn([], [{ op: "delete", key }]);
    if ([...records.values()].some(({ proxy }) => !concerns(proxy.namespace))) return;
    this.#wanted = false;
    this.#timer.value = undefined;
    await coordination.txn([], [{ op: "delete", key: WANTED_KEY }]);
  }

  /** What is kept of proxies of some namespaces, besides what they tell now. */
  async besides(told: readonly Told[], concerns: (namespace: string) => boolean): Promise<readonly Told[]> {
    const present = new Set(told.map(keyOf));
    return [...(await this.#load())].flatMap(([key, { proxy, report }]) =>
      present.has(key) || !concerns(proxy.namespace) ? [] : [{ proxy, report }],
    );
  }

  /** Keeps what proxies tell now, if anybody wants to. */
  async keep(proxies: readonly Told[]): Promise<void> {
    if (!this.#wanted) return;
    const { coordination, clock } = this.#options;
    const known = await this.#load();
    let room = MAX_REPORTS - known.size;
    for (const told of proxies) {
      const key = keyOf(told);
      // Somebody may have told it to forget meanwhile.
      if (!this.#wanted) return;
      if (key === undefined || (!known.has(key) && room-- <= 0)) continue;
      const value = Buffer.from(JSON.stringify({ ...bounded(told), at: clock.now() } satisfies Kept));
      await coordination.txn([], [{ op: "put", key, value }]);
    }
  }

  [Symbol.dispose](): void {
    this.#wanted = false;
    this.#timer[Symbol.dispose]();
  }

  #keepLater(): void {
    if (!this.#wanted) return;
    const { clock, logger, ask } = this.#options;
    const again = (): void => {
      void ask()
        .then(({ proxies }) => this.keep(proxies))
        .catch((thrown: unknown) => {
          if (this.#wanted) logger.warn("could not keep what sidecars observed", { error: thrown });
        })
        .then(() => this.#keepLater());
    };
    this.#timer.value = clock.setTimeout(again, KEEP_EVERY_MS, { keepAlive: false });
  }

  /** By key. What is too old, or cannot be read, is deleted. */
  async #load(): Promise<ReadonlyMap<string, Kept>> {
    const { coordination, clock } = this.#options;
    const records = new Map<string, Kept>();
    for (const { key, value } of await coordination.range(PREFIX)) {
      const kept = parse(value);
      if (kept !== undefined && clock.now() - kept.at < KEEP_MS) records.set(key, kept);
      else await coordination.txn([], [{ op: "delete", key }]);
    }
    return records;
  }
}

/** A proxy that observes anew tells less than before: each beginning is kept for itself. */
function keyOf({ proxy, report }: Told): string | undefined {
  const { since } = report as { readonly since?: unknown };
  return typeof since === "number" && since > 0
    ? `${PREFIX}${encodeURIComponent(proxy.id)}/${since}`
    : undefined;
}

/** Read as what it is, since proxies tell it; of one that is too large it is known that something is missing. */
function bounded(told: Told): Told {
  const { proxy } = told;
  const [read] = readTraffic({ proxies: [told], silent: [] });
  const { since, complete, inbound, calls } = read!;
  const report = { since, complete, inbound, calls };
  if (JSON.stringify(report).length <= MAX_BYTES) return { proxy, report };
  return { proxy, report: { since, complete: false, inbound: [], calls: [] } };
}

function parse(value: Uint8Array): Kept | undefined {
  try {
    const { proxy, report, at } = JSON.parse(Buffer.from(value).toString()) as Partial<Kept>;
    const { id, namespace } = (proxy ?? {}) as Partial<ProxyName>;
    if (proxy === undefined || report === undefined || typeof at !== "number") return undefined;
    return typeof id === "string" && typeof namespace === "string" ? { proxy, report, at } : undefined;
  } catch {
    return undefined;
  }
}
