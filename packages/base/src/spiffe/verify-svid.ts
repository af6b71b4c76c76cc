import { readLeaf, type Leaf } from "./leaf.js";
import { MAX_INTERMEDIATES, PathSearch } from "./path-search.js";
import type { RevocationLists } from "./revocation-lists.js";
import { parseCertificate, type TrustBundles } from "./trust-bundles.js";

/** What a peer must be to pass. */
export interface SvidRule {
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  readonly bundles: TrustBundles;
  /** Trust domains that are let in; default: all that have a bundle. */
  readonly trustDomains?: ReadonlySet<string> | undefined;
  /** When given, the peer must be one of these. */
  readonly spiffeIds?: ReadonlySet<string> | undefined;
  /** Certificates count for this long after their end, milliseconds. Default 0. */
  readonly graceMs?: number | undefined;
  /** Certificates that were taken back, authorities' among them; default none. {@link judgeLeaf} does not ask. */
  readonly revocations?: RevocationLists | undefined;
}

/** Who a peer is, or why it does not pass: text for logs. */
export type SvidVerdict =
  | {
      readonly ok: true;
      readonly spiffeId: string;
      /** The leaf. */
      readonly der: Uint8Array;
      /** Milliseconds since the epoch. */
      readonly notAfter: number;
      /** It passes only by the rule's grace. */
      readonly expired: boolean;
    }
  | { readonly ok: false; readonly reason: string };

/**
 * Verifies an X.509-SVID by its whole chain (DER, leaf first, the order of the others is free): the leaf's identity and
 * usages, then dates, a path to a root of the bundle of **its** trust domain, and revocations (X.509-SVID section 5). The one rule by
 * which sidecars, agents and the control plane know their peers.
 *
 * Authorities that limit names are refused here; the TLS handshake understands them.
 */
export function verifySvid(chain: readonly Uint8Array[], rule: SvidRule): SvidVerdict {
  const [der, ...above] = chain;
  const leaf = der === undefined ? undefined : readLeaf(der);
  const certificate = der === undefined ? undefined : parseCertificate(der);
  if (leaf === undefined || certificate === undefined)
    return refuse("the peer's certificate names no workload");
  if (above.length > MAX_INTERMEDIATES) return refuse(`the chain of ${leaf.spiffeId} is too long`);
  const verdict = judge(leaf, certificate.raw, rule);
  if (!verdict.ok) return verdict;
  const path = new PathSearch(above, rule.bundles.rootsOf(leaf.trustDomain), rule);
  if (!path.leadsUp(certificate, 0))
    return refuse(`the chain of ${leaf.spiffeId} leads to no root of ${leaf.trustDomain}`);
  if (rule.revocations !== undefined && path.isRevoked(rule.revocations))
    return refuse(`the certificate of ${leaf.spiffeId} has been revoked`);
  return verdict;
}

/** As {@link verifySvid}, for a leaf (DER) whose path to a root of its trust domain is known to be good. */
export function judgeLeaf(der: Uint8Array, rule: SvidRule): SvidVerdict {
  const leaf = readLeaf(der);
  return leaf === undefined ? refuse("the peer's certificate names no workload") : judge(leaf, der, rule);
}

function judge(
  leaf: Leaf,
  der: Uint8Array,
  { nowMs, bundles, trustDomains, spiffeIds, graceMs = 0 }: SvidRule,
): SvidVerdict {
  const { spiffeId, trustDomain, notBefore, notAfter } = leaf;
  if (!bundles.has(trustDomain) || trustDomains?.has(trustDomain) === false)
    return refuse(`${spiffeId} is of a trust domain that is not let in`);
  if (nowMs < notBefore) return refuse(`the certificate of ${spiffeId} is not valid yet; check the clocks`);
  if (nowMs >= notAfter + graceMs) return refuse(`the certificate of ${spiffeId} has expired`);
  if (spiffeIds !== undefined && !spiffeIds.has(spiffeId)) {
    return refuse(`${spiffeId} is not who was expected: ${[...spiffeIds].slice(0, 8).join(", ")}`);
  }
  return { ok: true, spiffeId, der, notAfter, expired: nowMs >= notAfter };
}

function refuse(reason: string): SvidVerdict {
  return { ok: false, reason };
}
