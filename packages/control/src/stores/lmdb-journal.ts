import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";

import { MeshError } from "@tulle/base";
import { open, type RootDatabase } from "lmdb";

import { lockDirectory } from "./directory-lock.js";
import type { Journal, JournalRecord, JournalWrite } from "./journal.js";

interface Stored {
  readonly v: unknown;
  readonly c: number;
  readonly m: number;
  readonly l: number;
}

type Database = RootDatabase<Stored | number, Buffer>;

/** Records live under `d`, what describes the store itself under `m`; the rest of a key is its text in UTF-8. */
const RECORDS = keyBytes("d", "");
const REVISION_KEY = keyBytes("m", "revision");
const FORMAT_KEY = keyBytes("m", "format");
const FORMAT = 2;
/** Keys were written by `ordered-binary`, which escapes control characters in short texts alone. */
const FORMAT_WITH_ESCAPES = 1;

/**
 * Opens (or creates) a journal in `directory`: 0700, its files 0600, because the certificate authority's key lies in
 * it. One process at a time (`unavailable` STORE_LOCKED otherwise). The directory must be on a local disk.
 */
export function openLmdbJournal(directory: string): Journal {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const lock = lockDirectory(directory);
  const path = join(directory, "tulle.lmdb");
  const db: Database = open({ path, noSubdir: true, maxDbs: 1, keyEncoding: "binary" });
  for (const file of [path, `${path}-lock`]) chmodSync(file, 0o600);

  const format = db.get(FORMAT_KEY);
  if (format === undefined) db.putSync(FORMAT_KEY, FORMAT);
  else if (format === FORMAT_WITH_ESCAPES) takeEscapesOut(db);
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
      for (const { key, value } of recordsOf(db)) {
        records.push({
          key: key.toString("utf8", RECORDS.length),
          value: value.v,
          createRevision: value.c,
          modRevision: value.m,
          lease: value.l,
        });
      }
      return { revision: (db.get(REVISION_KEY) as number | undefined) ?? 0, records };
    },
    async commit(write: JournalWrite) {
      const puts = write.puts.map((record) => ({ key: recordKey(record.key), record }));
      const deletes = write.deletes.map(recordKey);
      // The callback must not throw: lmdb would commit what was written before. It only queues plain writes.
      await db.transaction(() => {
        for (const { key, record } of puts) {
          const { value, createRevision, modRevision, lease } = record;
          void db.put(key, { v: value, c: createRevision, m: modRevision, l: lease });
        }
        for (const key of deletes) void db.remove(key);
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

function keyBytes(space: "d" | "m", text: string): Buffer {
  return Buffer.from(`${space}\u0000${text}`, "utf8");
}

function recordKey(text: string): Buffer {
  return keyBytes("d", text);
}

function recordsOf(db: Database): Iterable<{ readonly key: Buffer; readonly value: Stored }> {
  const end = Buffer.from(RECORDS);
  end[end.length - 1] = 1;
  return db.getRange({ start: RECORDS, end }) as Iterable<{ key: Buffer; value: Stored }>;
}

/**
 * Format 1 → 2, in one transaction: a process that ends in between finds all of it or nothing. NUL is the one control
 * character that keys had.
 */
function takeEscapesOut(db: Database): void {
  const records = Array.from(recordsOf(db));
  db.transactionSync(() => {
    for (const { key, value } of records) {
      const text = key.toString("utf8", RECORDS.length);
      const plain = text.replaceAll("\u0004\u0000", "\u0000");
      if (plain === text) continue;
      db.removeSync(key);
      db.putSync(recordKey(plain), value);
    }
    db.putSync(FORMAT_KEY, FORMAT);
  });
}
