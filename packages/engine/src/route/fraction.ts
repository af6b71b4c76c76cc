import type { FractionalPercent } from "@tulle/xds/gen/envoy/type/v3/percent_pb.js";
import { FractionalPercent_DenominatorType as Denominator } from "@tulle/xds/gen/envoy/type/v3/percent_pb.js";
import { below, mix } from "../entropy.js";
import { at, invalid } from "../snapshot/invalid.js";
import { noteRuntimeKey, type RuntimeShare, type RuntimeValues } from "./runtime-values.js";
import { percent } from "./words.js";
import type { ConditionWords } from "./words.js";

/** Whether the share of requests that a fraction lets through holds this one. */
export type FractionTest = (entropy: number, runtime: RuntimeValues) => boolean;

/** A fraction as numbers. */
export interface Share extends RuntimeShare {
  readonly salt: number;
  /** Runtime key whose value counts in place of these numbers where it has one; "" = none. */
  readonly key: string;
}

/** A fraction that may have a runtime key; Envoy's `RuntimeFractionalPercent`. */
export interface KeyedFraction {
  readonly defaultValue?: FractionalPercent | undefined;
  readonly runtimeKey: string;
}

/** Compiles a fraction; shares of the whole and above always hold. */
export function compileFraction(
  field: string,
  { defaultValue, runtimeKey }: KeyedFraction,
  salt: number,
): FractionTest {
  const share = compileShare(at(field, "default_value"), defaultValue, salt, runtimeKey);
  return (entropy, runtime) => isIn(share, entropy, runtime);
}

/** As {@link compileFraction}, for who must lower it per request. */
export function compileShare(
  field: string,
  fraction: FractionalPercent | undefined,
  salt: number,
  key = "",
): Share {
  if (fraction === undefined) throw invalid(field, "must be set");
  const denominator = DENOMINATORS.get(fraction.denominator);
  if (denominator === undefined)
    throw invalid(at(field, "denominator"), "must be HUNDRED, TEN_THOUSAND or MILLION");
  if (key !== "") noteRuntimeKey();
  return { numerator: fraction.numerator, denominator, salt, key };
}

/** The share's numbers now. */
export function shareNow(share: Share, runtime: RuntimeValues): RuntimeShare {
  return share.key === "" ? share : (runtime.get(share.key) ?? share);
}

/** Whether a request is in the share; `lowered`: a numerator that counts where it is lower than the share's. */
export function isIn(share: Share, entropy: number, runtime: RuntimeValues, lowered?: number): boolean {
  const { numerator, denominator } = shareNow(share, runtime);
  const own = lowered === undefined || lowered > numerator ? numerator : lowered;
  return below(mix(entropy, share.salt), denominator) < own;
}

/** For humans: `10%`, and the runtime key that says so. */
export function percentOf(share: Share, runtime: RuntimeValues): string {
  const { numerator, denominator } = shareNow(share, runtime);
  return `${Math.min((100 * numerator) / denominator, 100)}%${keyWords(share.key, runtime)}`;
}

/** The share of requests that a fraction holds for, by the runtime values given: from 0 to 1. */
export function probabilityOf(fraction: KeyedFraction, runtime: RuntimeValues): number {
  const { numerator = 0, denominator = Denominator.HUNDRED } = fraction.defaultValue ?? {};
  const written = { numerator, denominator: DENOMINATORS.get(denominator) ?? 100 };
  const now = fraction.runtimeKey === "" ? written : (runtime.get(fraction.runtimeKey) ?? written);
  return Math.min(1, now.numerator / now.denominator);
}

/** A fraction that compiles, in words. */
export function fractionWords(fraction: KeyedFraction): ConditionWords {
  const { runtimeKey: key } = fraction;
  const now = (runtime: RuntimeValues): string => percent(probabilityOf(fraction, runtime));
  return {
    condition: (runtime) => `${now(runtime)} of requests, by their request ids${keyWords(key, runtime)}`,
    mismatch: (_request, runtime) =>
      `by its request id it is not of the ${now(runtime)} of requests that this is for${keyWords(key, runtime)}`,
    share: (runtime) => probabilityOf(fraction, runtime),
  };
}

function keyWords(key: string, runtime: RuntimeValues): string {
  if (key === "") return "";
  return runtime.has(key) ? ` (runtime key ${key})` : ` (runtime key ${key} is not set: the default)`;
}

const DENOMINATORS: ReadonlyMap<Denominator, number> = new Map([
  [Denominator.HUNDRED, 100],
  [Denominator.TEN_THOUSAND, 10_000],
  [Denominator.MILLION, 1_000_000],
]);
