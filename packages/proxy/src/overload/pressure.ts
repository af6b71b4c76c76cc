/** From where on something is scaled, and where it is full. */
export interface Thresholds {
  readonly from: number;
  readonly saturated: number;
}

/** How far a value is between its thresholds: 0 = below, 1 = saturated. */
export function pressureOf(value: number, { from, saturated }: Thresholds): number {
  if (value <= from) return 0;
  return value >= saturated ? 1 : (value - from) / (saturated - from);
}
