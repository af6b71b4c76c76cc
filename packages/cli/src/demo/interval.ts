/** Two-sided normal quantile for 99.9 %: a sound demo falls outside in one run of a thousand. */
const Z = 3.29;

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * Wilson score interval of a share: where the true share lies when `hits` of `total` were seen. With no
 * observations, everything is possible.
 */
export function shareInterval(hits: number, total: number): Interval {
  if (total === 0) return { low: 0, high: 1 };
  const share = hits / total;
  const z2 = Z * Z;
  const centre = (share + z2 / (2 * total)) / (1 + z2 / total);
  const half = (Z / (1 + z2 / total)) * Math.sqrt((share * (1 - share)) / total + z2 / (4 * total * total));
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

/** Whether a share of `expected` explains what was seen. */
export function isExplained(expected: number, hits: number, total: number): boolean {
  const { low, high } = shareInterval(hits, total);
  return expected >= low && expected <= high;
}
