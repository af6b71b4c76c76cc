/** No key of a record is longer in UTF-8: what LMDB takes with its pages of 4 KiB, less two for our prefix. */
export const MAX_KEY_BYTES = 1976;

/** One record as it lies on disk. */
export interface JournalRecord {
  readonly key: string;
  /** A plain JSON-like value or bytes. */
  readonly value: unknown;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly lease: number;
}

/** What one commit changes: all of it or nothing is on disk afterwards. */
export interface JournalWrite {
  /** The store's newest revision after this commit. */
  readonly revision: number;
  readonly puts: readonly JournalRecord[];
  readonly deletes: readonly string[];
}

/** The durable side of a store. The memory image above it is the one that is read. */
export interface Journal {
  load(): { readonly revision: number; readonly records: readonly JournalRecord[] };
  /** Resolves when the write survives the end of the process and of the machine. */
  commit(write: JournalWrite): Promise<void>;
  close(): Promise<void>;
}

/** Keeps nothing: for tests and `tulle up` without a data directory. */
export const memoryJournal: Journal = {
  load: () => ({ revision: 0, records: [] }),
  commit: () => Promise.resolve(),
  close: () => Promise.resolve(),
};
