import type { MeshObject, RequestAuthenticationSpec } from "@tulle/api";
import {
  Backoff,
  DisposableStack,
  Emitter,
  MeshError,
  parseDuration,
  type Clock,
  type Disposable,
  type Event,
  type Logger,
  type Timer,
} from "@tulle/base";
import { keySourceId, keySourceOf, keysDependency, type KeySource } from "@tulle/translate";

import type { ConfigChange } from "../config/index.js";
import { fetchKeys, type FetchText } from "./fetch-keys.js";
import type { StoredKeys } from "./stored-keys.js";

/** Istio's times. */
const REFRESH_MS = 20 * 60_000;
const TIMEOUT_MS = 5000;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 60_000;
const KIND = "RequestAuthentication";
/** Issuers whose keys are fetched, at most. */
const MAX_SOURCES = 1000;

export interface TokenKeysOptions {
  /** Objects of the kind RequestAuthentication, as they are at the time. */
  readonly objects: () => readonly MeshObject[];
  readonly changes: Event<Pick<ConfigChange, "keys">>;
  /** `timeoutMs`: of the whole fetch. */
  readonly fetchText: (timeoutMs: number) => FetchText;
  /** The last good keys of before the start, and where those of now are kept. */
  readonly stored: Pick<StoredKeys, "keysOf" | "keep">;
  readonly clock: Clock;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
}

interface Source {
  readonly source: KeySource;
  readonly backoff: Backoff;
  timeoutMs: number;
  /** The last good ones; undefined before the first. */
  keys: string | undefined;
  timer: Timer | undefined;
}

/**
 * The public keys of the issuers that RequestAuthentications name: fetched here, so that sidecars reach no further than the
 * mesh, and anew every 20 minutes. While that fails the last good ones stay, through restarts too; before the first there are
 * none, and no token is good.
 */
export class TokenKeys implements Disposable {
  readonly #options: TokenKeysOptions;
  readonly #owned = new DisposableStack();
  readonly #sources = new Map<string, Source>();
  readonly #changed = new Emitter<string>();
  #fetches = 0;
  #failures = 0;
  #disposed = false;

  constructor(options: TokenKeysOptions) {
    this.#options = options;
    this.#owned.use(
      options.changes(({ keys }) => {
        if (keys.some(({ kind }) => kind === KIND)) this.#refresh();
      }),
    );
    this.#refresh();
  }

  /** Fires with the dependency of what is made from a source whose keys have changed. */
  readonly onChanged = this.#changed.event;

  keysOf(source: KeySource): string | undefined {
    return this.#sources.get(keySourceId(source))?.keys;
  }

  /** Fetches so far, and those of them that failed. */
  get counts(): { readonly fetches: number; readonly failures: number } {
    return { fetches: this.#fetches, failures: this.#failures };
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const { timer } of this.#sources.values()) timer?.[Symbol.dispose]();
    this.#owned[Symbol.dispose]();
  }

  /** Begins with sources that are named now and forgets those that are not. */
  #refresh(): void {
    const { random } = this.#options;
    const wanted = new Map<string, { readonly source: KeySource; readonly timeoutMs: number }>();
    for (const { spec } of this.#options.objects() as readonly MeshObject<RequestAuthenticationSpec>[]) {
      for (const rule of spec.jwtRules ?? []) {
        if (rule.jwks !== undefined || wanted.size >= MAX_SOURCES) continue;
        const source = keySourceOf(rule);
        wanted.set(keySourceId(source), {
          source,
          timeoutMs: parseDuration(rule.timeout ?? "") ?? TIMEOUT_MS,
        });
      }
    }
    for (const [id, { timer }] of this.#sources) {
      if (wanted.has(id)) continue;
      timer?.[Symbol.dispose]();
      this.#sources.delete(id);
    }
    for (const [id, { source, timeoutMs }] of wanted) {
      const known = this.#sources.get(id);
      if (known !== undefined) {
        known.timeoutMs = timeoutMs;
        continue;
      }
      const backoff = new Backoff({ baseMs: RETRY_MIN_MS, maxMs: RETRY_MAX_MS }, random);
      const keys = this.#options.stored.keysOf(source);
      const made: Source = { source, backoff, timeoutMs, keys, timer: undefined };
      this.#sources.set(id, made);
      void this.#fetch(id, made);
    }
  }

  /** Never rejects. */
  async #fetch(id: string, held: Source): Promise<void> {
    const { fetchText, logger, random, stored } = this.#options;
    held.timer = undefined;
    this.#fetches++;
    let keys: string | undefined;
    let delayMs: number;
    try {
      keys = await fetchKeys(held.source, fetchText(held.timeoutMs));
      held.backoff.reset();
      delayMs = REFRESH_MS * (0.9 + 0.2 * random());
    } catch (thrown) {
      this.#failures++;
      delayMs = held.backoff.next();
      const { message } = MeshError.from(thrown);
      const what =
        held.keys === undefined
          ? "the keys of an issuer of tokens cannot be fetched: its tokens are refused"
          : "the keys of an issuer of tokens cannot be fetched anew: the last good ones stay";
      logger.warn(what, { issuer: held.source.issuer, why: message, delayMs: Math.round(delayMs) });
    }
    if (this.#disposed || this.#sources.get(id) !== held) return;
    held.timer = this.#options.clock.setTimeout(() => void this.#fetch(id, held), delayMs, {
      keepAlive: false,
    });
    if (keys === undefined) return;
    // When they were good last is news, too.
    void stored.keep(held.source, keys);
    if (keys === held.keys) return;
    held.keys = keys;
    this.#changed.emit(keysDependency(held.source));
  }
}
