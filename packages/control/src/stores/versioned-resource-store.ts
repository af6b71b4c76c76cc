import type { MeshObject, ObjectKey } from "@tulle/api";
import { disposable, MeshError, type Disposable } from "@tulle/base";

import type { ListResult, ListSelector, ResourceStore, Revision, StoreEvent } from "./resource-store.js";
import type { Entry, EntryChange, VersionedMap } from "./versioned-map.js";

const PREFIX = "object\u0000";
const SEPARATOR = "\u0000";

/** Events kept for watches that resume; older ones are gone and the watcher lists again. */
const HISTORY = 10_000;

interface Watcher {
  readonly selector: ListSelector;
  readonly listener: (event: StoreEvent) => void;
}

/** {@link ResourceStore} over a {@link VersionedMap}; the map's revisions are the objects' resource versions. */
export class VersionedResourceStore implements ResourceStore {
  readonly #map: VersionedMap;
  readonly #watchers = new Set<Watcher>();
  readonly #history: StoreEvent[] = [];
  readonly #subscription: Disposable;
  /** Events up to this revision are no longer in `#history`. */
  #compacted: Revision;

  constructor(map: VersionedMap) {
    this.#map = map;
    this.#compacted = map.revision;
    this.#subscription = map.onChanged((changes) => this.#onChanged(changes));
  }

  revision(): Revision {
    return this.#map.revision;
  }

  get(key: ObjectKey): Promise<MeshObject | undefined> {
    return Promise.resolve(this.#map.get(storeKey(key))?.value as MeshObject | undefined);
  }

  list(selector: ListSelector): Promise<ListResult> {
    const objects: MeshObject[] = [];
    for (const entry of this.#map.range(PREFIX)) {
      if (selects(selector, objectKey(entry.key))) objects.push(entry.value as MeshObject);
    }
    return Promise.resolve({ objects, revision: this.#map.revision });
  }

  create(object: MeshObject, key: ObjectKey): Promise<MeshObject> {
    return this.#map.write((stage) => {
      if (stage.get(storeKey(key)) !== undefined) {
        throw new MeshError("already-exists", "STORE_EXISTS", `${describe(key)} already exists`);
      }
      return stage.put(storeKey(key), atRevision(object, stage.nextRevision)).value as MeshObject;
    });
  }

  update(object: MeshObject, key: ObjectKey, expected: Revision): Promise<MeshObject> {
    return this.#map.write((stage) => {
      requireRevision(stage.get(storeKey(key)), key, expected);
      return stage.put(storeKey(key), atRevision(object, stage.nextRevision)).value as MeshObject;
    });
  }

  delete(key: ObjectKey, expected?: Revision): Promise<MeshObject> {
    return this.#map.write((stage) => {
      requireRevision(stage.get(storeKey(key)), key, expected);
      return stage.delete(storeKey(key))!.value as MeshObject;
    });
  }

  watch(selector: ListSelector, from: Revision, listener: (event: StoreEvent) => void): Disposable {
    if (from < this.#compacted) {
      throw new MeshError(
        "exhausted",
        "STORE_REVISION_GONE",
        `revision ${from} is too old to watch from (the oldest kept is ${this.#compacted}): list again and watch from there`,
      );
    }
    for (const event of this.#history) {
      if (event.revision > from && selects(selector, event.key)) listener(event);
    }
    const watcher = { selector, listener };
    this.#watchers.add(watcher);
    return disposable(() => this.#watchers.delete(watcher));
  }

  close(): Promise<void> {
    this.#subscription[Symbol.dispose]();
    this.#watchers.clear();
    return this.#map.close();
  }

  #onChanged(changes: readonly EntryChange[]): void {
    for (const change of changes) {
      if (!change.entry.key.startsWith(PREFIX)) continue;
      const event = toEvent(change);
      this.#history.push(event);
      for (const watcher of this.#watchers) if (selects(watcher.selector, event.key)) watcher.listener(event);
    }
    // Trimmed in blocks: shifting one element per event would move the whole array each time.
    if (this.#history.length > HISTORY * 1.1) {
      const removed = this.#history.splice(0, this.#history.length - HISTORY);
      this.#compacted = removed.at(-1)?.revision ?? this.#compacted;
    }
  }
}

function toEvent({ type, entry, previous }: EntryChange): StoreEvent {
  const object = entry.value as MeshObject;
  const eventType = type === "delete" ? "deleted" : previous === undefined ? "added" : "modified";
  return {
    type: eventType,
    key: objectKey(entry.key),
    object: type === "delete" ? atRevision(object, entry.modRevision) : object,
    revision: entry.modRevision,
  };
}

function atRevision(object: MeshObject, revision: Revision): MeshObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}

function requireRevision(entry: Entry | undefined, key: ObjectKey, expected: Revision | undefined): void {
  if (entry === undefined) throw new MeshError("not-found", "STORE_NOT_FOUND", `${describe(key)} not found`);
  if (expected !== undefined && entry.modRevision !== expected) {
    throw new MeshError(
      "conflict",
      "STORE_CONFLICT",
      `${describe(key)} was changed since (revision ${entry.modRevision}, not ${expected}): read it again and apply your change to that`,
    );
  }
}

function selects(selector: ListSelector, key: ObjectKey): boolean {
  return (
    (selector.group === undefined || selector.group === key.group) &&
    (selector.kind === undefined || selector.kind === key.kind) &&
    (selector.namespace === undefined || selector.namespace === key.namespace)
  );
}

function describe(key: ObjectKey): string {
  return `${key.kind} ${key.namespace === "" ? "" : `${key.namespace}/`}${key.name}`;
}

function storeKey(key: ObjectKey): string {
  return PREFIX + [key.group, key.kind, key.namespace, key.name].join(SEPARATOR);
}

function objectKey(key: string): ObjectKey {
  const [group = "", kind = "", namespace = "", name = ""] = key.slice(PREFIX.length).split(SEPARATOR);
  return { group, kind, namespace, name };
}
