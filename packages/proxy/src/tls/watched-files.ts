import { readFileSync, watch } from "node:fs";
import { dirname } from "node:path";

import {
  Emitter,
  MeshError,
  systemErrorCode,
  type Clock,
  type Disposable,
  type Logger,
  type Timer,
} from "@tulle/base";

/** Files are written in several steps, and several together: one look so long after the first sign (Istio's time). */
const DEBOUNCE_MS = 100;
/** No certificate or list of authorities is larger. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Reads files and tells when one of them changes. Their directories are watched, since files are replaced by renaming or,
 * where Kubernetes mounts them, by turning a link around.
 */
export class WatchedFiles implements Disposable {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #changed = new Emitter<ReadonlySet<string>>();
  readonly #contents = new Map<string, string>();
  readonly #directories = new Map<string, Disposable>();
  #timer: Timer | undefined;
  #disposed = false;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Fires with the paths whose content is another than was read last. */
  readonly onChanged = this.#changed.event;

  /** The file's text, read now. Throws `unavailable` PROXY_TLS_FILE when it cannot be read. */
  read(path: string): string {
    this.#watch(dirname(path));
    const text = readText(path);
    this.#contents.set(path, text);
    return text;
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
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
    this.#logger.warn("files cannot be watched: a new certificate there is not seen by itself", {
      directory,
      error,
    });
  }

  #arm(): void {
    this.#timer ??= this.#clock.setTimeout(() => this.#look(), DEBOUNCE_MS, { keepAlive: false });
  }

  #look(): void {
    this.#timer = undefined;
    const changed = new Set<string>();
    for (const [path, before] of this.#contents) {
      let now: string;
      try {
        now = readText(path);
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

function readText(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (thrown) {
    const why = systemErrorCode(thrown) ?? (thrown instanceof Error ? thrown.message : String(thrown));
    throw new MeshError("unavailable", "PROXY_TLS_FILE", `${path} cannot be read: ${why}`, { cause: thrown });
  }
  if (bytes.length > MAX_BYTES)
    throw new MeshError("unavailable", "PROXY_TLS_FILE", `${path} is larger than ${MAX_BYTES} bytes`);
  return bytes.toString("latin1");
}
