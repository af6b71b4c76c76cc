import type { MeshObject, ObjectKey } from "@tulle/api";
import {
  Backoff,
  delay,
  Emitter,
  MeshError,
  MutableDisposable,
  type Clock,
  type Disposable,
  type Event,
  type Logger,
} from "@tulle/base";

import type { ResourceStore, Revision, StoreEvent } from "../stores/resource-store.js";

/** Objects that were written or deleted. Sent after the index shows it. */
export interface ConfigChange {
  readonly keys: readonly ObjectKey[];
  readonly revision: Revision;
}

/** All objects of the store in memory, kept current by its watch. */
export interface ConfigIndex extends Disposable {
  /** Resolves once everything that the store holds is here. Rejects only when disposed before. */
  readonly ready: Promise<void>;
  /** Newest revision that the index shows. */
  readonly revision: Revision;
  /** How many objects there are. */
  readonly size: number;
  /** All objects of a kind by namespace, then name. The same array until one of them changes. */
  objects(group: string, kind: string): readonly MeshObject[];
  get(key: ObjectKey): MeshObject | undefined;
  readonly onChange: Event<ConfigChange>;
}

export interface ConfigIndexOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Numbers in [0, 1) for the back-off's jitter. */
  readonly random: () => number;
}

/** Creates an index and starts to fill it. While the store fails it is asked again, with back-off up to 5 s. */
export function createConfigIndex(store: ResourceStore, options: ConfigIndexOptions): ConfigIndex {
  return new StoreConfigIndex(store, options);
}

interface KindObjects {
  readonly byName: Map<string, MeshObject>;
  sorted: readonly MeshObject[] | undefined;
}

class StoreConfigIndex implements ConfigIndex {
  readonly ready: Promise<void>;
  readonly #store: ResourceStore;
  readonly #options: ConfigIndexOptions;
  readonly #changes: Emitter<ConfigChange>;
  readonly #watch = new MutableDisposable<Disposable>();
  #kinds = new Map<string, KindObjects>();
  #revision = 0;
  #size = 0;
  #disposed = false;

  constructor(store: ResourceStore, options: ConfigIndexOptions) {
    this.#store = store;
    this.#options = options;
    this.#changes = new Emitter((thrown) => {
      options.logger.error("a listener of configuration changes failed", { error: thrown });
    });
    this.ready = this.#fill();
    // Whoever needs it awaits it; nobody has to.
    this.ready.catch(() => undefined);
  }

  get revision(): Revision {
    return this.#revision;
  }
  get size(): number {
    return this.#size;
  }
  get onChange(): Event<ConfigChange> {
    return this.#changes.event;
  }

  objects(group: string, kind: string): readonly MeshObject[] {
    const objects = this.#kinds.get(kindKey(group, kind));
    if (objects === undefined) return [];
    objects.sorted ??= [...objects.byName.values()].sort(byNamespaceThenName);
    return objects.sorted;
  }

  get(key: ObjectKey): MeshObject | undefined {
    return this.#kinds.get(kindKey(key.group, key.kind))?.byName.get(nameKey(key));
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#watch[Symbol.dispose]();
  }

  async #fill(): Promise<void> {
    const { clock, logger, random } = this.#options;
    const backoff = new Backoff({ baseMs: 50, maxMs: 5_000 }, random);
    for (;;) {
      if (this.#disposed) throw closed();
      try {
        const { objects, revision } = await this.#store.list({});
        if (this.#disposed) throw closed();
        for (const object of objects) this.#put(keyOf(object), object);
        this.#revision = revision;
        this.#watch.value = this.#store.watch({}, revision, (event) => this.#apply(event));
        return;
      } catch (thrown) {
        if (this.#disposed) throw thrown;
        // Also a revision that was compacted between list and watch: listing again is the remedy for both.
        const delayMs = backoff.next();
        logger.warn("cannot read the configuration store; trying again", { error: thrown, delayMs });
        this.#kinds = new Map();
        this.#size = 0;
        await delay(clock, delayMs);
      }
    }
  }

  #apply(event: StoreEvent): void {
    if (event.type === "deleted") this.#delete(event.key);
    else this.#put(event.key, event.object);
    this.#revision = event.revision;
    this.#changes.emit({ keys: [event.key], revision: event.revision });
  }

  #put(key: ObjectKey, object: MeshObject): void {
    const id = kindKey(key.group, key.kind);
    let objects = this.#kinds.get(id);
    if (objects === undefined) {
      objects = { byName: new Map(), sorted: undefined };
      this.#kinds.set(id, objects);
    }
    const before = objects.byName.size;
    objects.byName.set(nameKey(key), object);
    objects.sorted = undefined;
    this.#size += objects.byName.size - before;
  }

  #delete(key: ObjectKey): void {
    const objects = this.#kinds.get(kindKey(key.group, key.kind));
    if (objects === undefined || !objects.byName.delete(nameKey(key))) return;
    objects.sorted = undefined;
    this.#size--;
  }
}

function keyOf(object: MeshObject): ObjectKey {
  const slash = object.apiVersion.indexOf("/");
  return {
    group: slash < 0 ? "" : object.apiVersion.slice(0, slash),
    kind: object.kind,
    namespace: object.metadata.namespace,
    name: object.metadata.name,
  };
}

function kindKey(group: string, kind: string): string {
  return `${group}/${kind}`;
}

function nameKey(key: { readonly namespace: string; readonly name: string }): string {
  return `${key.namespace}/${key.name}`;
}

function byNamespaceThenName(a: MeshObject, b: MeshObject): number {
  return compare(a.metadata.namespace, b.metadata.namespace) || compare(a.metadata.name, b.metadata.name);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function closed(): MeshError {
  return new MeshError("canceled", "CONTROL_INDEX_CLOSED", "the configuration index was closed");
}
