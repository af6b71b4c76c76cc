/** Longest cycle, entries: weights that would need more are rounded to fit. */
const MAX_CYCLE = 4096;

/**
 * One cycle of smooth weighted round robin as indexes: `[5, 1, 1]` gives `0 0 1 0 2 0 0`, never `0 0 0 0 0 1 2`. Each
 * step raises every credit by its weight, takes the highest and lowers it by the total.
 */
export function smoothSchedule(weights: readonly number[]): Uint16Array {
  const whole = toCycle(weights);
  const total = whole.reduce((sum, weight) => sum + weight, 0);
  const credits = whole.map(() => 0);
  const schedule = new Uint16Array(total);
  for (let step = 0; step < total; step++) {
    let best = 0;
    for (let index = 0; index < whole.length; index++) {
      credits[index]! += whole[index]!;
      if (credits[index]! > credits[best]!) best = index;
    }
    credits[best]! -= total;
    schedule[step] = best;
  }
  return schedule;
}

/** Whole numbers in (nearly) the same proportion whose sum is at most MAX_CYCLE, or one each when there are more. */
function toCycle(weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (weights.every(Number.isInteger)) {
    const divisor = weights.reduce(greatestCommonDivisor);
    if (total / divisor <= MAX_CYCLE) return weights.map((weight) => weight / divisor);
  }
  const room = Math.max(0, MAX_CYCLE - weights.length);
  return weights.map((weight) => 1 + Math.floor((weight / total) * room));
}

function greatestCommonDivisor(left: number, right: number): number {
  while (right !== 0) [left, right] = [right, left % right];
  return left;
}
