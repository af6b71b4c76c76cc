import { Emitter, MeshError, type Event } from "@tulle/base";

import { MAX_KEY_BYTES, type Journal, type JournalRecord, type JournalWrite } from "./journal.js";

/** A key with its value and the revisions at which it was made and last changed. Must not be altered. */
export type Entry = JournalRecord;

export interface EntryChange {
  readonly type: "put" | "delete";
  /** For `delete`, the entry as it was, with `modRevision` of the deletion. */
  readonly entry: Entry;
  /** The entry before, when there was one. */
  readonly previous: Entry | undefined;
}

/** The state that a write sees and changes: what is committed, overlaid by earlier writes of the same commit. */
export interface Stage {
  get(key: string): Entry | undefined;
  keys(prefix: string): readonly string[];
  /** The revision that the next `put` or `delete` of this write gets. */
  readonly nextRevision: number;
  put(key: string, value: unknown, lease?: number): Entry;
  delete(key: string): Entry | undefined;
}

interface Queued {
  readonly write: (stage: Stage) => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (thrown: unknown) => void;
}

/** No more writes wait at a time; beyond it callers are told to come back. */
const MAX_QUEUED = 10_000;

/**
 * A map of keys in revisions over a journal. Writes that arrive while a commit is under way go together in the next
 * one (group commit); each runs alone against the staged state, so compare-and-swap is just reading before writing.
 *
 * ```
 *   write(fn) ─► queue ─► [ fn(stage) … fn(stage) ] ─► journal.commit ─► apply ─► onChanged ─► resolve
 * ```
 *
 * Readers see only what is durable.
 */
export class VersionedMap {
  readonly #journal: Journal;
  readonly #entries = new Map<string, Entry>();
  readonly #changed = new Emitter<readonly EntryChange[]>();
  readonly onChanged: Event<readonly EntryChange[]> = this.#changed.event;
  #revision: number;
  #queue: Queued[] = [];
  #committing: Promise<void> | undefined;
  #closed = false;

  constructor(journal: Journal) {
    this.#journal = journal;
    const { revision, records } = journal.load();
    this.#revision = revision;
    for (const record of records) this.#entries.set(record.key, record);
  }

  get revision(): number {
    return this.#revision;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** In key order. */
  range(prefix: string): readonly Entry[] {
    const found: Entry[] = [];
    for (const entry of this.#entries.values()) if (entry.key.startsWith(prefix)) found.push(entry);
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /**
   * Runs `write` against the staged state and resolves with what it returns once its changes are durable. When it
   * throws, none of its changes are made and the promise rejects with it.
   */
  write<T>(write: (stage: Stage) => T): Promise<T> {
    if (this.#closed)
      return Promise.reject(new MeshError("unavailable", "STORE_CLOSED", "the store is closed"));
    if (this.#queue.length >= MAX_QUEUED) {
      const message = `over ${MAX_QUEUED} writes wait for the disk: try again later`;
      return Promise.reject(new MeshError("exhausted", "STORE_BUSY", message));
    }
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ write, resolve, reject });
      this.#committing ??= this.#commitAll();
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#committing;
    await this.#journal.close();
  }

  async #commitAll(): Promise<void> {
    // Let everything of this turn join the first commit.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      await this.#commit(batch);
    }
    this.#committing = undefined;
  }

  async #commit(batch: readonly Queued[]): Promise<void> {
    const overlay = new Overlay(this.#entries, this.#revision);
    const done: (() => void)[] = [];
    for (const { write, resolve, reject } of batch) {
      const mark = overlay.mark();
      try {
        const value = write(overlay);
        done.push(() => resolve(value as never));
      } catch (thrown) {
        overlay.rollback(mark);
        done.push(() => reject(thrown));
      }
    }
    if (overlay.changes.length > 0) {
      try {
        await this.#journal.commit(overlay.journalWrite());
      } catch (thrown) {
        const failure = new MeshError("unavailable", "STORE_WRITE", "the write could not be made durable", {
          cause: thrown,
        });
        for (const { reject } of batch) reject(failure);
        return;
      }
      this.#revision = overlay.revision;
      for (const { type, entry } of overlay.changes) {
        if (type === "put") this.#entries.set(entry.key, entry);
        else this.#entries.delete(entry.key);
      }
      this.#changed.emit(overlay.changes);
    }
    for (const finish of done) finish();
  }
}

/** Changes over the committed entries, kept as a log so that one failed write can be taken back. */
class Overlay implements Stage {
  readonly #base: ReadonlyMap<string, Entry>;
  readonly #staged = new Map<string, Entry | undefined>();
  readonly #undo: { readonly key: string; readonly had: boolean; readonly before: Entry | undefined }[] = [];
  changes: EntryChange[] = [];
  revision: number;

  constructor(base: ReadonlyMap<string, Entry>, revision: number) {
    this.#base = base;
    this.revision = revision;
  }

  get nextRevision(): number {
    return this.revision + 1;
  }

  get(key: string): Entry | undefined {
    return this.#staged.has(key) ? this.#staged.get(key) : this.#base.get(key);
  }

  keys(prefix: string): readonly string[] {
    const found = new Set<string>();
    for (const key of this.#base.keys()) if (key.startsWith(prefix)) found.add(key);
    for (const [key, entry] of this.#staged) {
      if (!key.startsWith(prefix)) continue;
      if (entry === undefined) found.delete(key);
      else found.add(key);
    }
    return [...found].sort();
  }

  put(key: string, value: unknown, lease = 0): Entry {
    refuseLongKey(key);
    const previous = this.get(key);
    const revision = ++this.revision;
    const createRevision = previous?.createRevision ?? revision;
    const entry: Entry = { key, value, createRevision, modRevision: revision, lease };
    this.#stage(key, entry);
    this.changes.push({ type: "put", entry, previous });
    return entry;
  }

  delete(key: string): Entry | undefined {
    const previous = this.get(key);
    if (previous === undefined) return undefined;
    const entry: Entry = { ...previous, modRevision: ++this.revision };
    this.#stage(key, undefined);
    this.changes.push({ type: "delete", entry, previous });
    return entry;
  }

  mark(): { readonly undo: number; readonly changes: number; readonly revision: number } {
    return { undo: this.#undo.length, changes: this.changes.length, revision: this.revision };
  }

  rollback(mark: { readonly undo: number; readonly changes: number; readonly revision: number }): void {
    while (this.#undo.length > mark.undo) {
      const { key, had, before } = this.#undo.pop()!;
      if (had) this.#staged.set(key, before);
      else this.#staged.delete(key);
    }
    this.changes.length = mark.changes;
    this.revision = mark.revision;
  }

  /** The last state of every changed key: a key changed twice is written once. */
  journalWrite(): JournalWrite {
    const puts: Entry[] = [];
    const deletes: string[] = [];
    for (const [key, entry] of this.#staged) {
      if (entry !== undefined) puts.push(entry);
      else if (this.#base.has(key)) deletes.push(key);
    }
    return { revision: this.revision, puts, deletes };
  }

  #stage(key: string, entry: Entry | undefined): void {
    this.#undo.push({ key, had: this.#staged.has(key), before: this.#staged.get(key) });
    this.#staged.set(key, entry);
  }
}

/** Alone among the writes of its commit, here: the journal would refuse them all. */
function refuseLongKey(key: string): void {
  const bytes = Buffer.byteLength(key);
  if (bytes <= MAX_KEY_BYTES) return;
  const message = `the store takes keys of at most ${MAX_KEY_BYTES} bytes, and one has ${bytes}: ${key.slice(0, 100)}…`;
  throw new MeshError("invalid", "STORE_KEY_TOO_LONG", message);
}
