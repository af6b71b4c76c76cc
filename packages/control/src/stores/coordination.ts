import type { Disposable } from "@tulle/base";

export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  /** 0 when the key hangs on no lease. */
  readonly lease: LeaseId;
}

export type LeaseId = number;

export type Compare =
  | { readonly key: string; readonly modRevision: number }
  /** Holds when the key does not exist. */
  | { readonly key: string; readonly absent: true };

export type Operation =
  | { readonly op: "put"; readonly key: string; readonly value: Uint8Array; readonly lease?: LeaseId }
  | { readonly op: "delete"; readonly key: string }
  | { readonly op: "delete-prefix"; readonly prefix: string };

export interface TxnResult {
  /** Whether every comparison held and the operations were applied. */
  readonly succeeded: boolean;
  readonly revision: number;
}

export interface KeyEvent {
  readonly type: "put" | "delete";
  readonly kv: KeyValue;
}

/**
 * Keys, transactions, leases and election, in etcd's meaning: small shared state of the control plane
 * (registrations, the CA's key, join tokens). Keys are UTF-8 paths; values are at most 1 MiB.
 *
 * A resolved write survives the process. Leases count in this process' clock; after a restart every lease gets its
 * full time again.
 */
export interface Coordination {
  get(key: string): Promise<KeyValue | undefined>;
  /** In key order. */
  range(prefix: string): Promise<readonly KeyValue[]>;
  txn(compares: readonly Compare[], operations: readonly Operation[]): Promise<TxnResult>;
  /** Events under `prefix` from now on. */
  watch(prefix: string, listener: (event: KeyEvent) => void): Disposable;
  grantLease(ttlMs: number): Promise<LeaseId>;
  /** Restarts the lease's time. `not-found` COORDINATION_LEASE_GONE when it has expired. */
  keepAlive(lease: LeaseId): Promise<void>;
  /** Ends a lease and deletes its keys. */
  revokeLease(lease: LeaseId): Promise<void>;
  /**
   * Campaigns for `name` until disposed: `onElected` when this candidate leads, `onLost` when it does no longer. At
   * most one candidate of a name leads.
   */
  campaign(
    name: string,
    candidate: string,
    callbacks: { readonly onElected: () => void; readonly onLost: () => void },
  ): Disposable;
  close(): Promise<void>;
}
