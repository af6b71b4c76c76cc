import { createHash, randomBytes as hostRandomBytes } from "node:crypto";

import { MeshError, type Clock, CONTROL_PLANE_ACCOUNT, CONTROL_PLANE_NAMESPACE } from "@tulle/base";

import type { Coordination, KeyValue } from "../stores/coordination.js";
import type { RandomBytes } from "./serial-number.js";
import { isWorkloadAccount, type WorkloadAccount } from "./workload-id.js";

const PREFIX = "ca/join-tokens/";
const TOKEN = /^[A-Za-z0-9_-]{43}$/;
const DEFAULT_TTL_SECONDS = 600;
const MAX_TTL_SECONDS = 86_400;
/** Tokens that wait to be used, at most. */
const MAX_OUTSTANDING = 10_000;

export interface JoinTokenRequest extends WorkloadAccount {
  /** Default 600, at most 86,400. */
  readonly ttlSeconds?: number;
}

export interface JoinToken {
  /** 256 random bits, URL-safe. Shown once: only its hash is kept. */
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** One-time secrets with which a workload proves its account before it has a certificate. */
export interface JoinTokens {
  /**
   * Makes a token for an account. Errors: `invalid` CA_JOIN_ACCOUNT, CA_JOIN_TTL; `denied` CA_JOIN_RESERVED for the
   * control plane's own account; `exhausted` CA_JOIN_OUTSTANDING.
   */
  mint(request: JoinTokenRequest): Promise<JoinToken>;
  /** The account that a token is for, without using it up; undefined when it is unknown, used or expired. */
  peek(token: string): Promise<WorkloadAccount | undefined>;
  /** As `peek`, and uses the token up: of several callers at once, exactly one gets the account. */
  redeem(token: string): Promise<WorkloadAccount | undefined>;
}

interface StoredToken extends WorkloadAccount {
  readonly expiresAt: number;
}

export interface JoinTokensOptions {
  readonly coordination: Coordination;
  readonly clock: Clock;
  /** Default: the host's. */
  readonly randomBytes?: RandomBytes;
}

/** Join tokens in the coordination store, so that any control plane redeems what another minted. */
export function createJoinTokens(options: JoinTokensOptions): JoinTokens {
  const { coordination, clock } = options;
  const randomBytes = options.randomBytes ?? hostRandomBytes;

  const find = async (token: string): Promise<{ kv: KeyValue; stored: StoredToken } | undefined> => {
    if (!TOKEN.test(token)) return undefined;
    const kv = await coordination.get(keyOf(token));
    if (kv === undefined) return undefined;
    const stored = JSON.parse(Buffer.from(kv.value).toString()) as StoredToken;
    // Leases count anew after a restart, so the date decides.
    return clock.now() < stored.expiresAt ? { kv, stored } : undefined;
  };

  return {
    async mint({ namespace, serviceAccount, ttlSeconds = DEFAULT_TTL_SECONDS }) {
      checkRequest({ namespace, serviceAccount }, ttlSeconds);
      if ((await coordination.range(PREFIX)).length >= MAX_OUTSTANDING) {
        throw new MeshError(
          "exhausted",
          "CA_JOIN_OUTSTANDING",
          `${MAX_OUTSTANDING} join tokens wait to be used; use them, or wait until they expire`,
        );
      }
      const token = Buffer.from(randomBytes(32)).toString("base64url");
      const expiresAt = clock.now() + ttlSeconds * 1000;
      const stored: StoredToken = { namespace, serviceAccount, expiresAt };
      const lease = await coordination.grantLease(ttlSeconds * 1000);
      const value = Buffer.from(JSON.stringify(stored));
      await coordination.txn([], [{ op: "put", key: keyOf(token), value, lease }]);
      return { token, expiresAt };
    },

    async peek(token) {
      const found = await find(token);
      return found === undefined ? undefined : accountOf(found.stored);
    },

    async redeem(token) {
      const found = await find(token);
      if (found === undefined) return undefined;
      const { key, modRevision, lease } = found.kv;
      const { succeeded } = await coordination.txn([{ key, modRevision }], [{ op: "delete", key }]);
      if (!succeeded) return undefined;
      // The token is gone; a lease that stays behind holds nothing and ends by itself.
      await coordination.revokeLease(lease).catch(() => undefined);
      return accountOf(found.stored);
    },
  };
}

/**
 * Tokens are found by their hash, never compared: how long a lookup takes tells at most about the hash, from which
 * the token does not follow.
 */
function keyOf(token: string): string {
  return PREFIX + createHash("sha256").update(token).digest("base64url");
}

function accountOf({ namespace, serviceAccount }: StoredToken): WorkloadAccount {
  return { namespace, serviceAccount };
}

function checkRequest(account: WorkloadAccount, ttlSeconds: number): void {
  if (!isWorkloadAccount(account)) {
    throw new MeshError(
      "invalid",
      "CA_JOIN_ACCOUNT",
      `"${account.namespace}/${account.serviceAccount}" is no service account: use lower-case letters, digits and dashes`,
    );
  }
  if (account.namespace === CONTROL_PLANE_NAMESPACE && account.serviceAccount === CONTROL_PLANE_ACCOUNT) {
    throw new MeshError(
      "denied",
      "CA_JOIN_RESERVED",
      `${account.namespace}/${account.serviceAccount} is the control plane's own account; choose another`,
    );
  }
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > MAX_TTL_SECONDS) {
    throw new MeshError(
      "invalid",
      "CA_JOIN_TTL",
      `ttlSeconds must be a whole number from 1 to ${MAX_TTL_SECONDS}, not ${ttlSeconds}`,
    );
  }
}
