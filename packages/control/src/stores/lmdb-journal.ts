import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";

import { MeshError } from "@tulle/base";
import { open } from "lmdb";

import { lockDirectory } from "./directory-lock.js";
import type { Journal, JournalRecord, JournalWrite } from "./journal.js";

interface Stored {
  readonly v: unknown;
  readonly c: number;
  readonly m: number;
  readonly l: number;
}

/** Records live under `d`, what describes the store itself under `m`. */
const REVISION_KEY = ["m", "revision"];
const FORMAT_KEY = ["m", "format"];
const FORMAT = 1;

/**
 * Opens (or creates) a journal in `directory`: 0700, its files 0600, because the certificate authority's key lies in
 * it. One process at a time (`unavailable` STORE_LOCKED otherwise). The directory must be on a local disk.
 */
export function openLmdbJournal(directory: string): Journal {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const lock = lockDirectory(directory);
  const path = join(directory, "tulle.lmdb");
  const db = open<Stored | number, string[]>({ path, noSubdir: true, maxDbs: 1 });
  for (const file of [path, `${path}-lock`]) chmodSync(file, 0o600);

  const format = db.get(FORMAT_KEY);
  if (format === undefined) db.putSync(FORMAT_KEY, FORMAT);
  else if (format !== FORMAT) {
    void db.close();
    lock[Symbol.dispose]();
    throw new MeshError(
      "invalid",
      "STORE_FORMAT",
      `${path} has format ${JSON.stringify(format)}, this version of Tulle reads ${FORMAT}: start it with the version that wrote it, or with another --data-dir`,
    );
  }

  return {
    load() {
      const records: JournalRecord[] = [];
      for (const { key, value } of db.getRange({ start: ["d"], end: ["e"] })) {
        const stored = value as Stored;
        records.push({
          key: key[1] ?? "",
          value: stored.v,
          createRevision: stored.c,
          modRevision: stored.m,
          lease: stored.l,
        });
      }
      return { revision: (db.get(REVISION_KEY) as number | undefined) ?? 0, records };
    },
    async commit(write: JournalWrite) {
      // The callback must not throw: lmdb would commit what was written before. It only queues plain writes.
      await db.transaction(() => {
        for (const { key, value, createRevision, modRevision, lease } of write.puts) {
          void db.put(["d", key], { v: value, c: createRevision, m: modRevision, l: lease });
        }
        for (const key of write.deletes) void db.remove(["d", key]);
        void db.put(REVISION_KEY, write.revision);
      });
      await db.flushed;
    },
    async close() {
      await db.close();
      lock[Symbol.dispose]();
    },
  };
}
