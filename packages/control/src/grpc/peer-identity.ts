import type { Clock, Event } from "@tulle/base";
import { RevocationLists, TrustBundles, verifySvid, type SvidVerdict } from "@tulle/base/spiffe";
import type { GrpcCallInfo } from "@tulle/http/socket";

import type { StreamPeer } from "./stream-expiry.js";
import { parseWorkloadSpiffeId, type WorkloadAccount } from "../ca/workload-id.js";

/** Who a client of the gRPC port has proved to be. */
export interface PeerIdentity extends WorkloadAccount, StreamPeer {
  readonly spiffeId: string;
  readonly trustDomain: string;
  readonly certificateDer: Uint8Array;
}

export interface PeerIdentityOptions {
  /** Roots that are trusted now; asked for on every check, so a root that is taken away counts at once. */
  readonly trustBundlePem: () => string;
  /** Ways from workloads' certificates to the roots, each the authorities between them in DER; default: roots sign. */
  readonly intermediates?: () => readonly (readonly Uint8Array[])[];
  /** Revocation lists, PEM; default "" = none. */
  readonly revocationListsPem?: () => string;
  readonly trustDomain: string;
  /** Other names of it: the same roots. */
  readonly trustDomainAliases?: readonly string[];
  /** Roots or revocations have changed. */
  readonly changes?: Event<void>;
  readonly clock: Clock;
}

/** Tells who made a call; see {@link createPeerIdentity}. */
export type PeerIdentityOf = (call: Pick<GrpcCallInfo, "peer">) => PeerIdentity | undefined;

/**
 * Reads the identity of a call's peer from its client certificate, or undefined when it has none, or none that is
 * valid **now**: the TLS handshake may be days old, so the whole chain is verified again.
 */
export function createPeerIdentity(options: PeerIdentityOptions): PeerIdentityOf {
  const { clock, changes } = options;
  const names = [options.trustDomain, ...(options.trustDomainAliases ?? [])];
  const bundleOf = lastOf((pem) => new TrustBundles(Object.fromEntries(names.map((name) => [name, pem]))));
  const revocationsOf = lastOf((pem) => (pem === "" ? undefined : new RevocationLists(pem)));
  const judge = (der: Uint8Array): Extract<SvidVerdict, { ok: true }> | undefined => {
    const rule = {
      nowMs: clock.now(),
      bundles: bundleOf(options.trustBundlePem()),
      revocations: revocationsOf(options.revocationListsPem?.() ?? ""),
    };
    for (const way of options.intermediates?.() ?? ROOTS_SIGN) {
      const verdict = verifySvid([der, ...way], rule);
      if (verdict.ok) return verdict;
    }
    return undefined;
  };
  return ({ peer }) => {
    const der = peer.certificateDer;
    if (der === undefined) return undefined;
    const verdict = judge(der);
    if (verdict === undefined) return undefined;
    const { spiffeId, notAfter } = verdict;
    const workload = parseWorkloadSpiffeId(spiffeId);
    if (workload === undefined) return undefined;
    const onUntrusted: Event<void> | undefined =
      changes && ((listener) => changes(() => void (judge(der) ?? listener())));
    return {
      ...workload,
      spiffeId,
      notAfter,
      certificateDer: der,
      ...(onUntrusted !== undefined && { onUntrusted }),
    };
  };
}

const ROOTS_SIGN: readonly (readonly Uint8Array[])[] = [[]];

/** Parses again only what changed. */
function lastOf<T>(parse: (pem: string) => T): (pem: string) => T {
  let last: { readonly pem: string; readonly value: T } | undefined;
  return (pem) => {
    if (last?.pem !== pem) last = { pem, value: parse(pem) };
    return last.value;
  };
}
