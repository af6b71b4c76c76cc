import type { RootPhase } from "@tulle/api";

/** One of the authority's own roots, as it is stored. */
export interface RootRecord {
  /** Serial number, upper-case hexadecimal. */
  readonly id: string;
  readonly phase: RootPhase;
  /** When it entered its phase, milliseconds since the epoch. */
  readonly since: number;
  /** Of a `retiring` one: when the last certificate that it signed is over. */
  readonly retireAt?: number;
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface RotationFacts {
  readonly nowMs: number;
  /** Every workload that is connected has said that it trusts the bundle with the next root. */
  readonly acknowledged: boolean;
  /** The next root waits at least this long: workloads that are just not connected come back. */
  readonly minDistributionMs: number;
  /** … and at most this long; from then on who has not heard follows the cross-signed certificate. */
  readonly maxDistributionMs: number;
}

/** What has to be done to the roots. */
export type RotationStep =
  | { readonly kind: "prepare" }
  | { readonly kind: "promote"; readonly unacknowledged: boolean }
  | { readonly kind: "remove"; readonly ids: readonly string[] };

/** A new root is made at this share of the life of the one that signs. */
const ROTATE_AT = 2 / 3;

/**
 * The next step of a root's replacement, or undefined while there is nothing to do: make the next root and hand it out
 * (`prepare`), sign with it once it is trusted (`promote`), take the old one away when nothing that it signed lives any
 * more (`remove`). Steps depend on what is stored and on the clock only, so that a control plane that was killed between
 * two of them goes on where it was.
 */
export function rotationStep(roots: readonly RootRecord[], facts: RotationFacts): RotationStep | undefined {
  const { nowMs, acknowledged } = facts;
  const over = roots.filter(({ phase, retireAt = 0 }) => phase === "retiring" && nowMs >= retireAt);
  if (over.length > 0) return { kind: "remove", ids: over.map(({ id }) => id) };
  const active = roots.find(({ phase }) => phase === "active");
  const next = roots.find(({ phase }) => phase === "next");
  if (next !== undefined) {
    const waited = nowMs - next.since;
    const due = waited >= facts.maxDistributionMs || (active !== undefined && nowMs >= active.notAfter);
    if (due || (acknowledged && waited >= facts.minDistributionMs))
      return { kind: "promote", unacknowledged: !acknowledged };
    return undefined;
  }
  return active === undefined || nowMs >= rotationDueAt(active) ? { kind: "prepare" } : undefined;
}

/** When the root that signs will be replaced, milliseconds since the epoch. */
export function rotationDueAt({ since, notAfter }: Pick<RootRecord, "since" | "notAfter">): number {
  return since + (notAfter - since) * ROTATE_AT;
}
