import { readFileSync, watch } from "node:fs";
import { dirname } from "node:path";

import type { Clock, Timer } from "../clock.js";
import type { Disposable } from "../disposable.js";
import { Emitter } from "../emitter.js";
import { MeshError, systemErrorCode } from "../errors.js";
import type { Logger } from "../logger.js";

/** Files are written in several steps, and several together: one look so long after the first sign (Istio's time). */
const SETTLE_MS = 100;
/** No certificate or list of authorities is larger. */
const MAX_BYTES = 4 * 1024 * 1024;

export interface WatchedFilesOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long after the first sign of a change files are looked at, milliseconds; default 100. */
  readonly settleMs?: number;
  /** Files are looked at so often where nobody tells of changes (network file systems), milliseconds; default never. */
  readonly lookEveryMs?: number;
}

/**
 * Reads files and tells when one of them changes. Their directories are watched, since files are replaced by renaming or,
 * where Kubernetes mounts them, by turning a link around.
 */
export class WatchedFiles implements Disposable {
  readonly #options: WatchedFilesOptions;
  readonly #changed = new Emitter<ReadonlySet<string>>();
  /** Undefined: it could not be read, or need not be there. */
  readonly #contents = new Map<string, string | undefined>();
  readonly #optional = new Set<string>();
  readonly #directories = new Map<string, Disposable>();
  readonly #regular: Timer | undefined;
  #timer: Timer | undefined;
  #disposed = false;

  constructor(options: WatchedFilesOptions) {
    this.#options = options;
    const { clock, lookEveryMs } = options;
    if (lookEveryMs !== undefined)
      this.#regular = clock.setInterval(() => this.#look(), lookEveryMs, { keepAlive: false });
  }

  /** Fires with the paths whose content is another than was read last. */
  readonly onChanged = this.#changed.event;

  /**
   * The file's text, read now. Throws `unavailable` FILE_UNREADABLE. One that is removed afterwards is no change: it may be on
   * its way back.
   */
  read(path: string): string {
    this.#watch(dirname(path));
    // Should it fail, the file's coming is a change.
    this.#contents.set(path, undefined);
    const text = readText(path);
    this.#contents.set(path, text);
    return text;
  }

  /** As `read`, of a file that need not be there: undefined without it, and its removal is a change. */
  readIfPresent(path: string): string | undefined {
    this.#optional.add(path);
    this.#watch(dirname(path));
    const text = readOptional(path);
    this.#contents.set(path, text);
    return text;
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
    this.#regular?.[Symbol.dispose]();
    for (const watcher of this.#directories.values()) watcher[Symbol.dispose]();
    this.#directories.clear();
  }

  #watch(directory: string): void {
    if (this.#disposed || this.#directories.has(directory)) return;
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#arm());
      watcher.on("error", (error) => this.#unwatch(directory, error));
      this.#directories.set(directory, { [Symbol.dispose]: () => watcher.close() });
    } catch (thrown) {
      // A directory that does not exist yet is tried again with the next read.
      if (systemErrorCode(thrown) !== "ENOENT") this.#unwatch(directory, thrown);
    }
  }

  #unwatch(directory: string, error: unknown): void {
    this.#directories.get(directory)?.[Symbol.dispose]();
    this.#directories.delete(directory);
    this.#options.logger.warn("files cannot be watched: a change there is not seen by itself", {
      directory,
      error,
    });
  }

  #arm(): void {
    const { clock, settleMs = SETTLE_MS } = this.#options;
    this.#timer ??= clock.setTimeout(() => this.#look(), settleMs, { keepAlive: false });
  }

  #look(): void {
    this.#timer = undefined;
    const changed = new Set<string>();
    for (const [path, before] of this.#contents) {
      let now: string | undefined;
      try {
        now = this.#optional.has(path) ? readOptional(path) : readText(path);
      } catch {
        // Between its removal and its return: what was read last stays in use.
        continue;
      }
      if (now === before) continue;
      this.#contents.set(path, now);
      changed.add(path);
    }
    if (changed.size > 0) this.#changed.emit(changed);
  }
}

/** Undefined: there is no such file. */
function readOptional(path: string): string | undefined {
  try {
    return readText(path);
  } catch (thrown) {
    if (thrown instanceof MeshError && systemErrorCode(thrown.cause) === "ENOENT") return undefined;
    throw thrown;
  }
}

function readText(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (thrown) {
    const why = systemErrorCode(thrown) ?? (thrown instanceof Error ? thrown.message : String(thrown));
    throw new MeshError("unavailable", "FILE_UNREADABLE", `${path} cannot be read: ${why}`, {
      cause: thrown,
    });
  }
  if (bytes.length > MAX_BYTES)
    throw new MeshError("unavailable", "FILE_UNREADABLE", `${path} is larger than ${MAX_BYTES} bytes`);
  return bytes.toString("latin1");
}
