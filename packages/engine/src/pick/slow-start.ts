/** How an endpoint that is new is given more and more, until it is warm. */
export interface SlowStart {
  readonly windowMs: number;
  /** Above 1: less at first and more towards the end. */
  readonly aggression: number;
  /** Part of its weight that it has at least, 0 to 1. */
  readonly minWeight: number;
}

/** In how many steps weights change over a window: each makes the balance anew. */
const STEPS = 50;
/** No more often than this. */
const MIN_STEP_MS = 100;

/** The part of its weight that an endpoint has after `ageMs`, above 0 to 1: Envoy's formula. */
export function warmth({ windowMs, aggression, minWeight }: SlowStart, ageMs: number): number {
  if (ageMs >= windowMs) return 1;
  const time = Math.max(ageMs, 1) / windowMs;
  return Math.max(minWeight, time ** (1 / aggression));
}

/** How long weights stay as they are, milliseconds. */
export function stepMs({ windowMs }: SlowStart): number {
  return Math.max(MIN_STEP_MS, windowMs / STEPS);
}
