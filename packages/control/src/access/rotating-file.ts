import { open, rename, stat, type FileHandle } from "node:fs/promises";

import { systemErrorCode } from "@tulle/base";

import type { AuditSink } from "./audit-log.js";

export interface RotatingFileOptions {
  readonly path: string;
  /** Begun anew when it would be longer than this. Default 100 MiB. */
  readonly maxBytes?: number;
  /** Older ones that are kept, as `<path>.1` (the newest) and so on. Default 5. */
  readonly keep?: number;
}

/** Appends to a file (0600) that is begun anew before it gets too long. Calls must not overlap. */
export function createRotatingFile({
  path,
  maxBytes = 100 * 1024 * 1024,
  keep = 5,
}: RotatingFileOptions): AuditSink {
  let file: FileHandle | undefined;
  let size = 0;

  const rotate = async (): Promise<void> => {
    await file?.close();
    file = undefined;
    for (let number = keep - 1; number >= 0; number--) {
      await moveIfThere(number === 0 ? path : `${path}.${number}`, `${path}.${number + 1}`);
    }
  };

  return async (lines) => {
    const bytes = Buffer.from(lines);
    if (file !== undefined && !(await isStill(file, path))) {
      // Somebody moved it away: a log rotation of the machine's own.
      await file.close();
      file = undefined;
    }
    if (file === undefined) {
      file = await open(path, "a", 0o600);
      ({ size } = await file.stat());
    }
    if (size > 0 && size + bytes.length > maxBytes) {
      await rotate();
      file = await open(path, "a", 0o600);
      size = 0;
    }
    await file.appendFile(bytes);
    size += bytes.length;
  };
}

async function moveIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (thrown) {
    if (systemErrorCode(thrown) !== "ENOENT") throw thrown;
  }
}

async function isStill(file: FileHandle, path: string): Promise<boolean> {
  try {
    return (await file.stat()).ino === (await stat(path)).ino;
  } catch {
    return false;
  }
}
