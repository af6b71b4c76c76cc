import type { JsonObject } from "@bufbuild/protobuf";
import type { HedgePolicy } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { FractionalPercent_DenominatorType as Denominator } from "@tulle/xds/gen/envoy/type/v3/percent_pb.js";
import type { FractionalPercent } from "@tulle/xds/gen/envoy/type/v3/percent_pb.js";
import type { HedgePlan } from "../contract.js";
import { at, invalid } from "../snapshot/invalid.js";

/** More tries at a time than this would be an attack on the service. */
const MAX_HEDGES = 5;

/**
 * Compiles an Envoy HedgePolicy, and the hedging after a delay that Envoy has no field for: `hedge: {afterMs, max}` in the
 * route's metadata `tulle.dev`. Undefined when neither asks for more than one try at a time.
 */
export function compileHedge(
  field: string,
  policy: HedgePolicy | undefined,
  metadata: JsonObject | undefined,
): HedgePlan | undefined {
  const delayed = delayedHedge(at(field, "metadata"), metadata);
  const initial = policy?.initialRequests ?? 1;
  if (initial < 1 || initial > MAX_HEDGES)
    throw invalid(at(field, "hedge_policy.initial_requests"), `must be between 1 and ${MAX_HEDGES}`);
  const initialChance = chance(
    at(field, "hedge_policy.additional_request_chance"),
    policy?.additionalRequestChance,
  );
  const onPerTryTimeout = policy?.hedgeOnPerTryTimeout ?? false;
  const max = Math.min(MAX_HEDGES, initial - 1 + (initialChance > 0 ? 1 : 0) + delayed.max);
  if (max === 0 && !onPerTryTimeout) return undefined;
  return { initial, initialChance, afterMs: delayed.afterMs, max, onPerTryTimeout };
}

function delayedHedge(
  field: string,
  metadata: JsonObject | undefined,
): { readonly afterMs: number; readonly max: number } {
  const hedge = metadata !== undefined && Object.hasOwn(metadata, "hedge") ? metadata["hedge"] : undefined;
  if (hedge === undefined) return { afterMs: 0, max: 0 };
  const { afterMs, max = 1 } = (typeof hedge === "object" && hedge !== null ? hedge : {}) as JsonObject;
  if (typeof afterMs !== "number" || !(afterMs >= 1 && afterMs <= 3_600_000))
    throw invalid(at(field, "hedge.afterMs"), "must be a number of milliseconds, at least 1");
  if (typeof max !== "number" || !(max >= 1 && max <= MAX_HEDGES))
    throw invalid(at(field, "hedge.max"), `must be between 1 and ${MAX_HEDGES}`);
  return { afterMs, max: Math.floor(max) };
}

function chance(field: string, fraction: FractionalPercent | undefined): number {
  if (fraction === undefined) return 0;
  const whole = WHOLE.get(fraction.denominator);
  if (whole === undefined)
    throw invalid(at(field, "denominator"), "must be HUNDRED, TEN_THOUSAND or MILLION");
  return Math.min(1, fraction.numerator / whole);
}

const WHOLE: ReadonlyMap<Denominator, number> = new Map([
  [Denominator.HUNDRED, 100],
  [Denominator.TEN_THOUSAND, 10_000],
  [Denominator.MILLION, 1_000_000],
]);
