import type { IssuedCertificate, MeshStatus } from "@tulle/api";

/** Workloads renew at half of a certificate's life: below this share, renewal does not work. */
const RENEWAL_OVERDUE = 0.2;

export interface CertificateLife extends IssuedCertificate {
  readonly leftMs: number;
  /** 0 to 1. */
  readonly leftShare: number;
  /** Renewal is overdue. */
  readonly expiring: boolean;
  /** A connected proxy uses it, as far as can be told. */
  readonly inUse: boolean;
}

/**
 * Certificates with the life that is left in them, those that end first at the top. Of an identity's certificates,
 * as many as it has proxies are in use, the newest ones; others are left over from workloads that ended.
 */
export function certificateLives({
  proxies,
  certificates,
  authority: { certificateTtlMs },
  controlPlane: { now },
}: MeshStatus): readonly CertificateLife[] {
  const unmatched = new Map<string, number>();
  for (const { identity } of proxies) unmatched.set(identity, (unmatched.get(identity) ?? 0) + 1);
  return certificates
    .toSorted((a, b) => b.notAfter - a.notAfter || (a.spiffeId < b.spiffeId ? 1 : -1))
    .map((certificate) => {
      const { spiffeId, notBefore, notAfter } = certificate;
      const users = unmatched.get(spiffeId) ?? 0;
      unmatched.set(spiffeId, users - 1);
      const leftMs = Math.max(0, notAfter - now);
      // They are dated back, so that their dates say more than what they were given.
      const lifeMs = Math.min(notAfter - notBefore, certificateTtlMs);
      const leftShare = lifeMs > 0 ? Math.min(1, leftMs / lifeMs) : 0;
      return { ...certificate, leftMs, leftShare, expiring: leftShare < RENEWAL_OVERDUE, inUse: users > 0 };
    })
    .reverse();
}
