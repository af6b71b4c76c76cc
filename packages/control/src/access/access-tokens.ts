import { createHash, randomBytes as hostRandomBytes } from "node:crypto";

import {
  scopeOfToken,
  type AccessTokenInfo,
  type AccessTokenRequest,
  type CreatedAccessToken,
} from "@tulle/api";
import { MeshError, type Clock, type Disposable } from "@tulle/base";

import type { RandomBytes } from "../ca/index.js";
import type { Coordination, KeyValue } from "../stores/coordination.js";

const BY_NAME = "access/tokens/";
const BY_HASH = "access/token-hashes/";
/** With a beginning that scanners for leaked secrets can look for. */
const TOKEN = /^tulle_[A-Za-z0-9_-]{43}$/;
const MAX_TOKENS = 10_000;

/** Long-lived secrets by which people and programs show who they are. */
export interface AccessTokens {
  /** `already-exists` ACCESS_TOKEN_EXISTS, `exhausted` ACCESS_TOKEN_LIMIT. */
  create(request: AccessTokenRequest, createdBy: string): Promise<CreatedAccessToken>;
  /** By name, without those that have expired. */
  list(): Promise<readonly AccessTokenInfo[]>;
  /** `not-found` ACCESS_TOKEN_UNKNOWN. */
  revoke(name: string): Promise<void>;
  /** Whose token that is; undefined when it is unknown, revoked or expired. */
  find(token: string): Promise<AccessTokenInfo | undefined>;
  /** Calls back with the name of each token that is revoked from now on, here or by another control plane. */
  onRevoked(listener: (name: string) => void): Disposable;
}

interface StoredToken extends AccessTokenInfo {
  readonly hash: string;
}

export interface AccessTokensOptions {
  readonly coordination: Coordination;
  readonly clock: Clock;
  /** Default: the host's. */
  readonly randomBytes?: RandomBytes;
}

/**
 * Tokens in the coordination store: 256 random bits, of which only the SHA-256 is kept. They are found by their hash and
 * never compared: how long a lookup takes tells at most about the hash, from which the token does not follow.
 */
export function createAccessTokens(options: AccessTokensOptions): AccessTokens {
  const { coordination, clock } = options;
  const randomBytes = options.randomBytes ?? hostRandomBytes;
  const isAlive = ({ expiresAt }: AccessTokenInfo): boolean =>
    expiresAt === undefined || clock.now() < expiresAt;

  const byName = async (name: string): Promise<StoredToken | undefined> => {
    const kv = await coordination.get(BY_NAME + name);
    return kv === undefined ? undefined : read(kv);
  };
  const remove = async ({ hash, name }: StoredToken): Promise<void> => {
    const operations = [BY_NAME + name, BY_HASH + hash].map((key) => ({ op: "delete", key }) as const);
    await coordination.txn([], operations);
  };
  /** What has expired goes when somebody looks at all of them. */
  const living = async (): Promise<readonly StoredToken[]> => {
    const all = (await coordination.range(BY_NAME)).map(read);
    for (const token of all) if (!isAlive(token)) await remove(token);
    return all.filter(isAlive);
  };

  return {
    async create(request, createdBy) {
      if ((await living()).length >= MAX_TOKENS) {
        throw new MeshError(
          "exhausted",
          "ACCESS_TOKEN_LIMIT",
          `there are ${MAX_TOKENS} tokens: revoke some, see tulle token list`,
        );
      }
      const token = `tulle_${Buffer.from(randomBytes(32)).toString("base64url")}`;
      const createdAt = clock.now();
      const info: AccessTokenInfo = {
        ...scopeOfToken(request),
        name: request.name,
        createdAt,
        createdBy,
        ...(request.ttlSeconds === undefined ? {} : { expiresAt: createdAt + request.ttlSeconds * 1000 }),
      };
      const hash = hashOf(token);
      const key = BY_NAME + request.name;
      const { succeeded } = await coordination.txn(
        [{ key, absent: true }],
        [
          { op: "put", key, value: bytesOf(JSON.stringify({ ...info, hash } satisfies StoredToken)) },
          { op: "put", key: BY_HASH + hash, value: bytesOf(request.name) },
        ],
      );
      if (succeeded) return { ...info, token };
      throw new MeshError(
        "already-exists",
        "ACCESS_TOKEN_EXISTS",
        `there is a token ${request.name} already: revoke it or choose another name`,
      );
    },

    list: async () => (await living()).map(withoutHash),

    async revoke(name) {
      const stored = await byName(name);
      if (stored !== undefined) return remove(stored);
      throw new MeshError(
        "not-found",
        "ACCESS_TOKEN_UNKNOWN",
        `there is no token ${JSON.stringify(name.slice(0, 63))}; see which there are: tulle token list`,
      );
    },

    async find(token) {
      if (!TOKEN.test(token)) return undefined;
      const hash = hashOf(token);
      const named = await coordination.get(BY_HASH + hash);
      if (named === undefined) return undefined;
      const stored = await byName(Buffer.from(named.value).toString());
      return stored?.hash === hash && isAlive(stored) ? withoutHash(stored) : undefined;
    },

    onRevoked: (listener) =>
      coordination.watch(BY_NAME, ({ type, kv }) => {
        if (type === "delete") listener(kv.key.slice(BY_NAME.length));
      }),
  };
}

function read(kv: KeyValue): StoredToken {
  return JSON.parse(Buffer.from(kv.value).toString()) as StoredToken;
}

function withoutHash({ hash: _hash, ...info }: StoredToken): AccessTokenInfo {
  return info;
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text);
}
