import { createHash } from "node:crypto";

import { jwksProblem } from "@tulle/api";
import type { Clock, Logger } from "@tulle/base";
import { keySourceId, type KeySource } from "@tulle/translate";

import type { Coordination } from "../stores/coordination.js";

const PREFIX = "token-keys/";
/** Keys of issuers that nobody has named for so long are forgotten, milliseconds. */
const FORGET_MS = 30 * 86_400_000;

interface KeptKeys {
  /** Of the source, so that a hash that somebody has made up is nobody else's. */
  readonly source: string;
  readonly keys: string;
  /** Milliseconds since the epoch. */
  readonly fetchedAt: number;
}

/** The last good keys of issuers, in the store: a control plane that starts while an issuer is away goes on with them. */
export class StoredKeys {
  readonly #coordination: Coordination;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #bySource = new Map<string, string>();

  private constructor(coordination: Coordination, clock: Clock, logger: Logger) {
    this.#coordination = coordination;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Reads what is kept. */
  static async open(options: {
    readonly coordination: Coordination;
    readonly clock: Clock;
    readonly logger: Logger;
  }): Promise<StoredKeys> {
    const { coordination, clock, logger } = options;
    const stored = new StoredKeys(coordination, clock, logger);
    for (const { key, value } of await coordination.range(PREFIX)) {
      const kept = read(value);
      if (kept === undefined || clock.now() - kept.fetchedAt >= FORGET_MS)
        await coordination.txn([], [{ op: "delete", key }]);
      else stored.#bySource.set(kept.source, kept.keys);
    }
    return stored;
  }

  /** Those of a source, when the control plane was started. */
  keysOf(source: KeySource): string | undefined {
    return this.#bySource.get(keySourceId(source));
  }

  /** Keeps good keys. Never rejects: without a store they count as long as the control plane runs. */
  async keep(source: KeySource, keys: string): Promise<void> {
    const id = keySourceId(source);
    const kept: KeptKeys = { source: id, keys, fetchedAt: this.#clock.now() };
    const key = PREFIX + createHash("sha256").update(id).digest("base64url");
    const value = Buffer.from(JSON.stringify(kept));
    await this.#coordination.txn([], [{ op: "put", key, value }]).catch((error: unknown) => {
      this.#logger.warn("the keys of an issuer of tokens cannot be kept for the next start", { error });
    });
  }
}

/** Undefined for what is no set of keys. */
function read(value: Uint8Array): KeptKeys | undefined {
  try {
    const { source, keys, fetchedAt } = JSON.parse(Buffer.from(value).toString()) as Partial<KeptKeys>;
    if (typeof source !== "string" || typeof keys !== "string" || typeof fetchedAt !== "number")
      return undefined;
    return jwksProblem(keys) === undefined ? { source, keys, fetchedAt } : undefined;
  } catch {
    return undefined;
  }
}
