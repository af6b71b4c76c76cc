import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

import { systemErrorCode, type Clock, type Logger, type Timer } from "@tulle/base";
import type { ResourceChange } from "@tulle/engine";

/** Changes are written so long after the first of them, milliseconds. */
const WRITE_DELAY_MS = 1000;
const FORMAT = 1;

interface StoredResource {
  readonly typeUrl: string;
  readonly name: string;
  readonly version: string;
  /** Base64. */
  readonly bytes: string;
}

/**
 * The last good configuration on disk (`configuration.json`, 0600, replaced whole): a sidecar that restarts while the
 * control plane is away serves with it.
 */
export class ConfigCache {
  readonly #directory: string;
  readonly #path: string;
  readonly #owner: string;
  readonly #resources: () => Iterable<ResourceChange>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  #dirty = false;
  #found = false;
  #released = false;

  /** `owner` names whose configuration this is: another workload's file in the same directory is not used. */
  constructor(
    stateDirectory: string,
    owner: string,
    resources: () => Iterable<ResourceChange>,
    clock: Clock,
    logger: Logger,
  ) {
    this.#directory = stateDirectory;
    this.#path = join(stateDirectory, "configuration.json");
    this.#owner = owner;
    this.#resources = resources;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Whether `load` found a file, of whatever use: there has been a configuration before. */
  get found(): boolean {
    return this.#found;
  }

  /** What was kept; nothing when there is no file or it cannot be used (then a warning is logged). */
  async load(): Promise<readonly ResourceChange[]> {
    let text: string;
    try {
      text = await readFile(this.#path, "utf8");
    } catch (thrown) {
      if (systemErrorCode(thrown) === "ENOENT") return [];
      this.#found = true;
      this.#warn("cannot be read", thrown);
      return [];
    }
    this.#found = true;
    try {
      return parse(JSON.parse(text), this.#owner);
    } catch (thrown) {
      this.#warn("is damaged and not used", thrown);
      return [];
    }
  }

  /** Leaves the file to another process. Resolves when nothing is being written any more. */
  async release(): Promise<void> {
    await this.flush();
    this.#released = true;
  }

  /** The configuration changed: writes it soon. */
  touch(): void {
    if (this.#released) return;
    this.#dirty = true;
    this.#timer ??= this.#clock.setTimeout(() => void this.flush(), WRITE_DELAY_MS, { keepAlive: false });
  }

  /** Writes now what is not written yet. Never rejects: a full disk must not end a sidecar. */
  flush(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.#dirty) {
      this.#dirty = false;
      this.#writing = this.#writing.then(() => this.#write());
    }
    return this.#writing;
  }

  async #write(): Promise<void> {
    const resources: StoredResource[] = [];
    for (const { typeUrl, name, version, bytes } of this.#resources()) {
      if (bytes === undefined) continue;
      resources.push({ typeUrl, name, version, bytes: Buffer.from(bytes).toString("base64") });
    }
    const temporary = `${this.#path}.new`;
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await rm(temporary, { force: true });
      const file = await open(temporary, "wx", 0o600);
      try {
        await file.writeFile(JSON.stringify({ format: FORMAT, owner: this.#owner, resources }));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.#path);
    } catch (thrown) {
      this.#warn("cannot be written", thrown);
    }
  }

  #warn(what: string, error: unknown): void {
    this.#logger.warn(`the configuration on disk ${what}`, { path: this.#path, error });
  }
}

function parse(value: unknown, owner: string): ResourceChange[] {
  if (!isRecord(value) || value["format"] !== FORMAT || !Array.isArray(value["resources"])) {
    throw new TypeError("not a configuration of this version");
  }
  if (value["owner"] !== owner) return [];
  return value["resources"].map((item: unknown) => {
    if (!isRecord(item)) throw new TypeError("a resource is not an object");
    const { typeUrl, name, version, bytes } = item;
    if (
      typeof typeUrl !== "string" ||
      typeof name !== "string" ||
      typeof version !== "string" ||
      typeof bytes !== "string"
    ) {
      throw new TypeError("a resource lacks a field");
    }
    return { typeUrl, name, version, bytes: new Uint8Array(Buffer.from(bytes, "base64")) };
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
