import type { FractionalPercent } from "@tulle/xds/gen/envoy/type/v3/percent_pb.js";
import { FractionalPercent_DenominatorType as Denominator } from "@tulle/xds/gen/envoy/type/v3/percent_pb.js";
import { below, mix } from "../entropy.js";
import { at, invalid } from "../snapshot/invalid.js";
import { percent } from "./words.js";
import type { ConditionWords } from "./words.js";

/** Whether the share of requests that a fraction lets through holds this one. */
export type FractionTest = (entropy: number) => boolean;

/** A fraction as numbers. */
export interface Share {
  readonly numerator: number;
  readonly denominator: number;
  readonly salt: number;
}

/** Compiles a fraction; shares of the whole and above always hold. */
export function compileFraction(
  field: string,
  fraction: FractionalPercent | undefined,
  salt: number,
): FractionTest {
  const share = compileShare(field, fraction, salt);
  return (entropy) => isIn(share, entropy);
}

/** As {@link compileFraction}, for who must lower it per request. */
export function compileShare(field: string, fraction: FractionalPercent | undefined, salt: number): Share {
  if (fraction === undefined) throw invalid(field, "must be set");
  const denominator = DENOMINATORS.get(fraction.denominator);
  if (denominator === undefined)
    throw invalid(at(field, "denominator"), "must be HUNDRED, TEN_THOUSAND or MILLION");
  return { numerator: fraction.numerator, denominator, salt };
}

/** Whether a request is in the share; `numerator` may be a lower one than the share's own. */
export function isIn(
  { numerator: own, denominator, salt }: Share,
  entropy: number,
  numerator: number = own,
): boolean {
  return below(mix(entropy, salt), denominator) < numerator;
}

/** For humans: `10%`. */
export function percentOf({ numerator, denominator }: Share): string {
  return `${Math.min((100 * numerator) / denominator, 100)}%`;
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
