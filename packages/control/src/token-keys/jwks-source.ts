import { readFile } from "node:fs/promises";

import { MeshError, type Clock } from "@tulle/base";
import type { JSONWebKeySet } from "jose";

import { fetchKeys, type FetchText } from "./fetch-keys.js";
import { operatorFetch } from "./operator-fetch.js";

/** Keys are fetched again when they are this old, milliseconds, and for an unknown key not more often than this. */
const REFRESH_AFTER_MS = 300_000;
const REFRESH_AT_MOST_EVERY_MS = 10_000;
/** Keys that could not be fetched again count for this long, milliseconds. */
const KEEP_MS = 86_400_000;

export interface JwksSourceOptions {
  /** Whose keys they are: without `uri` and `file` its discovery document says where they are. */
  readonly issuer: string;
  /** `https://…`, plain HTTP on loopback only; or the path of a file. */
  readonly uri?: string | undefined;
  readonly file?: string | undefined;
  readonly clock: Clock;
  /** How a URL of the operator's is fetched; default: {@link operatorFetch}. */
  readonly fetchFor?: ((configured: string) => FetchText) | undefined;
}

/** An issuer's JWK Set from a URL or a file, kept fresh as it is used; the last good one counts for a day. */
export class JwksSource {
  readonly #options: JwksSourceOptions;
  #keys: JSONWebKeySet | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;

  /** Errors: `invalid` CA_JWKS. */
  constructor(options: JwksSourceOptions) {
    const { issuer, uri, file } = options;
    if (uri !== undefined && file !== undefined) throw wrong("give one of jwksUri and jwksFile");
    const asked = file === undefined ? (uri ?? issuer) : undefined;
    if (asked !== undefined && !isSafe(asked))
      throw wrong(`${asked} must be https://… (http:// on loopback only), or jwksUri or jwksFile be given`);
    this.#options = options;
  }

  /** The set, which has the key `kid` if it can be had. Errors: `unavailable` CA_JWKS. */
  async keys(kid: string | undefined): Promise<JSONWebKeySet> {
    const { clock } = this.#options;
    const known = this.#keys?.keys.some((key) => key.kid === kid) === true;
    const old = clock.now() - this.#fetchedAt >= REFRESH_AFTER_MS;
    if ((!known || old) && clock.now() - this.#triedAt >= REFRESH_AT_MOST_EVERY_MS) {
      this.#fetching ??= this.#refresh().finally(() => {
        this.#fetching = undefined;
      });
    }
    if (this.#fetching !== undefined) await this.#fetching;
    if (this.#keys === undefined || clock.now() - this.#fetchedAt >= KEEP_MS) {
      const { issuer, uri, file } = this.#options;
      const from = uri ?? file ?? issuer;
      throw new MeshError("unavailable", "CA_JWKS", `the keys at ${from} cannot be had; try again later`);
    }
    return this.#keys;
  }

  async #refresh(): Promise<void> {
    this.#triedAt = this.#options.clock.now();
    try {
      const { keys } = JSON.parse(await this.#read()) as Partial<JSONWebKeySet>;
      if (!Array.isArray(keys)) return;
      this.#keys = { keys };
      this.#fetchedAt = this.#options.clock.now();
    } catch {
      // The last good ones count for a while; whoever asks learns when there are none.
    }
  }

  #read(): Promise<string> {
    const { issuer, uri: jwksUri, file, fetchFor = operatorFetch } = this.#options;
    if (file !== undefined) return readFile(file, "utf8");
    return fetchKeys({ issuer, jwksUri }, fetchFor(jwksUri ?? issuer));
  }
}

function isSafe(uri: string): boolean {
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (url?.protocol === "https:") return true;
  return url?.protocol === "http:" && ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
}

function wrong(why: string): MeshError {
  return new MeshError("invalid", "CA_JWKS", why);
}
