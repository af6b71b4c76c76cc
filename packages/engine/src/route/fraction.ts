import type { FractionalPercent } from "@tulle/xds/gen/envoy/type/v3/percent_pb.js";
import { FractionalPercent_DenominatorType as Denominator } from "@tulle/xds/gen/envoy/type/v3/percent_pb.js";
import { below, mix } from "../entropy.js";
import { at, invalid } from "../snapshot/invalid.js";
import { percent } from "./words.js";
import type { ConditionWords } from "./words.js";

/** Whether the share of requests that a fraction lets through holds this one. */
export type FractionTest = (entropy: number) => boolean;

/** Compiles a fraction; shares of the whole and above always hold. */
export function compileFraction(
  field: string,
  fraction: FractionalPercent | undefined,
  salt: number,
): FractionTest {
  if (fraction === undefined) throw invalid(field, "must be set");
  const whole = DENOMINATORS.get(fraction.denominator);
  if (whole === undefined)
    throw invalid(at(field, "denominator"), "must be HUNDRED, TEN_THOUSAND or MILLION");
  const share = fraction.numerator;
  return (entropy) => below(mix(entropy, salt), whole) < share;
}

/** A fraction that compiles, in words. */
export function fractionWords({ numerator, denominator }: FractionalPercent): ConditionWords {
  const share = Math.min(1, numerator / (DENOMINATORS.get(denominator) ?? 100));
  return {
    condition: () => `${percent(share)} of requests, by their request ids`,
    mismatch: () => `by its request id it is not of the ${percent(share)} of requests that this is for`,
    share,
  };
}

const DENOMINATORS: ReadonlyMap<Denominator, number> = new Map([
  [Denominator.HUNDRED, 100],
  [Denominator.TEN_THOUSAND, 10_000],
  [Denominator.MILLION, 1_000_000],
]);
