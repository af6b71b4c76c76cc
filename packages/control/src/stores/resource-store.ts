import type { Disposable } from "@tulle/base";
import type { MeshObject, ObjectKey } from "@tulle/api";

/** A store-wide counter: every write gets the next one. Greater means later, nothing else. */
export type Revision = number;

export interface StoreEvent {
  readonly type: "added" | "modified" | "deleted";
  readonly key: ObjectKey;
  /** The object as written; for `deleted`, as it last was, with `resourceVersion` of the deletion. */
  readonly object: MeshObject;
  readonly revision: Revision;
}

export interface ListResult {
  readonly objects: readonly MeshObject[];
  /** Watching from here misses nothing and repeats nothing. */
  readonly revision: Revision;
}

export interface ListSelector {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
}

/**
 * Keeps the objects that users write. All writes are compare-and-swap on the object's own revision; a resolved
 * promise means that the write survives the process.
 *
 * Errors (MeshError): `already-exists` STORE_EXISTS, `not-found` STORE_NOT_FOUND, `conflict` STORE_CONFLICT (stale
 * revision), `exhausted` STORE_REVISION_GONE (watch from a revision that is compacted: list again).
 */
export interface ResourceStore {
  get(key: ObjectKey): Promise<MeshObject | undefined>;
  list(selector: ListSelector): Promise<ListResult>;
  /** Stores a new object; returns it with its `resourceVersion` set. */
  create(object: MeshObject, key: ObjectKey): Promise<MeshObject>;
  /** Replaces an object whose revision is `expected`. */
  update(object: MeshObject, key: ObjectKey, expected: Revision): Promise<MeshObject>;
  /** Deletes it; `expected` undefined deletes whatever revision there is. Returns what was deleted. */
  delete(key: ObjectKey, expected?: Revision): Promise<MeshObject>;
  /**
   * Calls `listener` for every event after `from`, in order, each once: first those that already happened (at once,
   * before this returns), then live ones. Throws STORE_REVISION_GONE when `from` is too old.
   */
  watch(selector: ListSelector, from: Revision, listener: (event: StoreEvent) => void): Disposable;
  revision(): Revision;
  close(): Promise<void>;
}
