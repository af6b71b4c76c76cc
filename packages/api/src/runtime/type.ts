/** Shares of requests by name, which change without a new version of what goes by them (feature flags). */
export interface RuntimeSpec {
  /** By key. A key that no Runtime has is what names it says by default. */
  readonly values: Readonly<Record<string, RuntimeValue>>;
}

/** Percent, a whole number from 0 to 100, or a fraction. */
export type RuntimeValue = number | RuntimeFraction;

export interface RuntimeFraction {
  readonly numerator: number;
  /** Default HUNDRED. */
  readonly denominator?: "HUNDRED" | "TEN_THOUSAND" | "MILLION";
}

/** How many a denominator stands for. */
export const RUNTIME_DENOMINATORS: Readonly<Record<NonNullable<RuntimeFraction["denominator"]>, number>> = {
  HUNDRED: 100,
  TEN_THOUSAND: 10_000,
  MILLION: 1_000_000,
};

/** Whether a text may be a runtime key: `reviews.canary`. */
export function isRuntimeKey(text: string): boolean {
  return text.length <= 253 && /^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$/.test(text);
}
