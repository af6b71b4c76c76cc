import type { Logger } from "@tulle/base";
import type {
  ClientView,
  Dependency,
  MeshReader,
  Translate,
  Translated,
  Untranslated,
} from "@tulle/translate";
import type { EncodedResource } from "@tulle/xds";

import { viewKey } from "./client-view.js";

/** Someone who is told when a resource that it holds may have changed. */
export interface ResourceSubscriber {
  /** `sinceMs`: when the change was noticed, monotonic. */
  onStale(name: string, sinceMs: number): void;
}

/** One resource of one type as clients with one view see it. */
export interface CachedResource {
  readonly typeUrl: string;
  readonly name: string;
  readonly subscribers: ReadonlySet<ResourceSubscriber>;
}

/** All resources of one view. Lives while a stream with that view does. */
export interface ViewResources {
  readonly view: ClientView;
}

export interface ResourceCacheOptions {
  readonly reader: MeshReader;
  readonly translate: Translate;
  readonly logger: Logger;
}

interface Scope extends ViewResources {
  readonly key: string;
  readonly entries: Map<string, Entry>;
  users: number;
}

interface Entry extends CachedResource {
  readonly scope: Scope;
  readonly subscribers: Set<ResourceSubscriber>;
  /** The newest translation, also while `stale`: what a failed translation falls back to. */
  result: Translated | Untranslated | undefined;
  stale: boolean;
  /** When it was last compared with a new translation, monotonic. */
  auditedMs: number;
  /** Version that a new translation had, other than that in use. */
  suspected: string | undefined;
}

/** A change of configuration may take so long from when it can be read until it is told of, with much to spare. */
const SUSPICION_MS = 1_000;
/** Warnings that were logged are remembered up to this many. */
const MAX_WARNINGS = 4_096;

/**
 * Translated resources, shared by all clients with the same view and encoded once. Made when first asked for, dropped
 * when something that they were made from changes, kept only while someone subscribes to them.
 */
export class ResourceCache {
  readonly #options: ResourceCacheOptions;
  readonly #scopes = new Map<string, Scope>();
  readonly #dependents = new Map<Dependency, Set<Entry>>();
  /** Their translation threw, so what they depend on is not known: every change may heal them. */
  readonly #failed = new Set<Entry>();
  readonly #warned = new Set<string>();

  constructor(options: ResourceCacheOptions) {
    this.#options = options;
  }

  /** How many resources are held, for metrics. */
  get size(): number {
    let size = 0;
    for (const scope of this.#scopes.values()) size += scope.entries.size;
    return size;
  }

  /** How many dependencies are watched, for metrics. */
  get dependencies(): number {
    return this.#dependents.size;
  }

  /** Starts to use a view; end it with `closeView`. */
  openView(view: ClientView): ViewResources {
    const key = viewKey(view);
    let scope = this.#scopes.get(key);
    if (scope === undefined) {
      scope = { key, view, entries: new Map(), users: 0 };
      this.#scopes.set(key, scope);
    }
    scope.users++;
    return scope;
  }

  closeView(view: ViewResources): void {
    const scope = view as Scope;
    if (--scope.users === 0) this.#scopes.delete(scope.key);
  }

  subscribe(
    view: ViewResources,
    typeUrl: string,
    name: string,
    subscriber: ResourceSubscriber,
  ): CachedResource {
    const scope = view as Scope;
    const key = entryKey(typeUrl, name);
    let entry = scope.entries.get(key);
    if (entry === undefined) {
      entry = {
        typeUrl,
        name,
        scope,
        subscribers: new Set(),
        result: undefined,
        stale: true,
        auditedMs: Number.NEGATIVE_INFINITY,
        suspected: undefined,
      };
      scope.entries.set(key, entry);
    }
    entry.subscribers.add(subscriber);
    return entry;
  }

  unsubscribe(resource: CachedResource, subscriber: ResourceSubscriber): void {
    const entry = resource as Entry;
    entry.subscribers.delete(subscriber);
    if (entry.subscribers.size > 0) return;
    entry.scope.entries.delete(entryKey(entry.typeUrl, entry.name));
    this.#failed.delete(entry);
    this.#unlink(entry, entry.result?.dependencies ?? []);
  }

  /** The resource as it is now, translated if need be; undefined when its name means nothing. */
  resolve(resource: CachedResource): EncodedResource | undefined {
    return this.#current(resource as Entry)?.resource;
  }

  /** The resource as translation gives it now, whatever is kept; undefined when its name means nothing, or it throws. */
  translateAnew(resource: CachedResource): EncodedResource | undefined {
    const { reader, translate } = this.#options;
    const { scope, typeUrl, name } = resource as Entry;
    try {
      return translate(reader, scope.view, typeUrl, name).resource;
    } catch {
      return this.resolve(resource);
    }
  }

  /**
   * Compares what is kept with a new translation, unless that was done within `maxAgeMs`. When they differ at two looks a
   * second apart a change has passed unnoticed: the resource counts as changed from now on. Returns whether that is so.
   */
  audit(resource: CachedResource, nowMs: number, maxAgeMs: number): boolean {
    const entry = resource as Entry;
    // What is about to be translated anyway need not be compared.
    if (entry.stale || this.#failed.has(entry)) return false;
    if (nowMs - entry.auditedMs < (entry.suspected === undefined ? maxAgeMs : SUSPICION_MS)) return false;
    entry.auditedMs = nowMs;
    const kept = entry.result?.resource?.version ?? "";
    const version = this.translateAnew(entry)?.version ?? "";
    const before = entry.suspected;
    entry.suspected = version === kept ? undefined : version;
    if (before === undefined || before !== entry.suspected) return false;
    entry.suspected = undefined;
    entry.stale = true;
    for (const subscriber of entry.subscribers) subscriber.onStale(entry.name, nowMs);
    return true;
  }

  /** What a user should know of the newest translation. */
  warningsOf(resource: CachedResource): readonly string[] {
    const { result } = resource as Entry;
    return result?.resource === undefined ? [] : result.warnings;
  }

  /** Version of the newest translation; undefined when its name means nothing. */
  versionOf(resource: CachedResource): string | undefined {
    return (resource as Entry).result?.resource?.version;
  }

  /** Marks what was made from these as stale and tells its subscribers. */
  invalidate(dependencies: Iterable<Dependency>, sinceMs: number): void {
    const entries = new Set(this.#failed);
    for (const dependency of dependencies) {
      for (const entry of this.#dependents.get(dependency) ?? []) entries.add(entry);
    }
    for (const entry of entries) {
      entry.stale = true;
      for (const subscriber of entry.subscribers) subscriber.onStale(entry.name, sinceMs);
    }
  }

  /** Resources that an object (`<kind>/<namespace>/<name>`) shaped. */
  *ownedBy(owner: string): Iterable<CachedResource> {
    for (const scope of this.#scopes.values()) {
      for (const entry of scope.entries.values()) {
        if (entry.result?.resource !== undefined && entry.result.owners.includes(owner)) yield entry;
      }
    }
  }

  #current(entry: Entry): Translated | Untranslated | undefined {
    if (!entry.stale) return entry.result;
    entry.stale = false;
    const { reader, translate, logger } = this.#options;
    const before = entry.result;
    try {
      entry.result = translate(reader, entry.scope.view, entry.typeUrl, entry.name);
      this.#failed.delete(entry);
    } catch (thrown) {
      // One object that translation stumbles over must not take its neighbours down: the last good one stays.
      this.#failed.add(entry);
      logger.error("translation failed; the last good resource stays in use", {
        typeUrl: entry.typeUrl,
        name: entry.name,
        error: thrown,
      });
      return before;
    }
    this.#relink(entry, before?.dependencies ?? [], entry.result.dependencies);
    if (entry.result.resource !== undefined) this.#warn(entry, entry.result.warnings);
    return entry.result;
  }

  #relink(entry: Entry, before: readonly Dependency[], after: readonly Dependency[]): void {
    const kept = new Set(after);
    this.#unlink(
      entry,
      before.filter((dependency) => !kept.has(dependency)),
    );
    for (const dependency of kept) {
      let dependents = this.#dependents.get(dependency);
      if (dependents === undefined) {
        dependents = new Set();
        this.#dependents.set(dependency, dependents);
      }
      dependents.add(entry);
    }
  }

  #unlink(entry: Entry, dependencies: readonly Dependency[]): void {
    for (const dependency of dependencies) {
      const dependents = this.#dependents.get(dependency);
      dependents?.delete(entry);
      if (dependents?.size === 0) this.#dependents.delete(dependency);
    }
  }

  /** Each warning is logged once, not once per client and change. */
  #warn(entry: Entry, warnings: readonly string[]): void {
    for (const warning of warnings) {
      const key = `${entry.name}\n${warning}`;
      if (this.#warned.has(key)) continue;
      if (this.#warned.size >= MAX_WARNINGS) this.#warned.clear();
      this.#warned.add(key);
      this.#options.logger.warn(warning, { resource: entry.name, dialect: entry.scope.view.dialect });
    }
  }
}

function entryKey(typeUrl: string, name: string): string {
  return `${typeUrl}\n${name}`;
}
