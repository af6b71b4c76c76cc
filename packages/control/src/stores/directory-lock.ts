import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";

import { disposable, MeshError, systemErrorCode, type Disposable } from "@tulle/base";

/**
 * Takes `directory` for this process through a file with its pid. A lock whose process is gone is taken over.
 * Throws `unavailable` STORE_LOCKED while another process holds it.
 */
export function lockDirectory(directory: string): Disposable {
  const path = join(directory, "tulle.pid");
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const fd = openSync(path, "wx", 0o600);
      writeSync(fd, `${process.pid}\n`);
      closeSync(fd);
      return disposable(() => unlinkSync(path));
    } catch (thrown) {
      if (systemErrorCode(thrown) !== "EEXIST") throw thrown;
      const holder = holderOf(path);
      if (holder !== undefined && holder !== process.pid && isAlive(holder)) throw locked(directory, holder);
      if (holder === process.pid) throw locked(directory, holder);
      removeStale(path);
    }
  }
  throw locked(directory, undefined);
}

function locked(directory: string, holder: number | undefined): MeshError {
  const who = holder === undefined ? "another process" : `process ${holder}`;
  return new MeshError(
    "unavailable",
    "STORE_LOCKED",
    `${directory} is in use by ${who}: stop that control plane, or choose another --data-dir`,
  );
}

function holderOf(path: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(path, "utf8"), 10);
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function removeStale(path: string): void {
  try {
    unlinkSync(path);
  } catch (thrown) {
    if (systemErrorCode(thrown) !== "ENOENT") throw thrown;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return systemErrorCode(thrown) === "EPERM";
  }
}
