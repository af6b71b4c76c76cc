import type { Duration } from "@bufbuild/protobuf/wkt";
import { durationMs } from "../snapshot/duration.js";
import { at, invalid } from "../snapshot/invalid.js";
import type { Policy } from "./balancer.js";
import { hashed } from "./hashed.js";
import { maglev } from "./maglev.js";
import { leastRequest } from "./policies.js";
import { ringHash, type RingSettings } from "./ring-hash.js";
import type { SlowStart } from "./slow-start.js";

/** Envoy's default: power of two choices. */
const DEFAULT_CHOICES = 2;
/** Bounds the work of one pick. */
const MAX_CHOICES = 64;

export interface LeastRequestFields {
  readonly choiceCount?: number | undefined;
  readonly activeRequestBias?: { readonly defaultValue: number } | undefined;
  readonly fullScan?: boolean;
}

/** Least request, from either of the two messages that configure it. */
export function compileLeastRequest(field: string, fields: LeastRequestFields): Policy {
  const { choiceCount, activeRequestBias, fullScan = false } = fields;
  if (choiceCount !== undefined && choiceCount < 2)
    throw invalid(at(field, "choice_count"), "must be at least 2");
  const bias = activeRequestBias?.defaultValue ?? 1;
  if (!(bias >= 0)) throw invalid(at(field, "active_request_bias"), "must not be negative");
  return leastRequest({
    choices: fullScan ? "all" : Math.min(choiceCount ?? DEFAULT_CHOICES, MAX_CHOICES),
    bias,
  });
}

/** Envoy's default and limit. */
const MIN_RING_SIZE = 1024;
const MAX_RING_SIZE = 8_388_608;
/**
 * No ring is made larger, whatever is asked for and however different the weights are: it is made while requests wait,
 * at 0.5 µs a place, whenever an endpoint comes or goes, and more places would hardly spread keys more evenly.
 */
const MAX_PLACES = 65_536;

export interface RingFields {
  readonly murmur: boolean;
  readonly minimumRingSize: bigint | undefined;
  readonly maximumRingSize: bigint | undefined;
  readonly balanceFactor: number | undefined;
}

/** Ring hash, from either of the two messages that configure it. */
export function compileRing(field: string, fields: RingFields): Policy {
  return hashed(ringHash(ringSettings(field, fields)), balanceFactor(field, fields.balanceFactor));
}

/** What is asked for, as far as it can be had. */
export function ringSettings(field: string, fields: RingFields): RingSettings {
  const minSize = Number(fields.minimumRingSize ?? BigInt(MIN_RING_SIZE));
  const maxSize = Number(fields.maximumRingSize ?? BigInt(MAX_RING_SIZE));
  if (minSize < 1 || minSize > MAX_RING_SIZE)
    throw invalid(at(field, "minimum_ring_size"), `must be between 1 and ${MAX_RING_SIZE}`);
  if (maxSize < minSize || maxSize > MAX_RING_SIZE)
    throw invalid(at(field, "maximum_ring_size"), `must be between minimum_ring_size and ${MAX_RING_SIZE}`);
  const hash = fields.murmur ? "murmur2" : "xxhash";
  return { hash, minSize: Math.min(minSize, MAX_PLACES), maxSize: Math.min(maxSize, MAX_PLACES) };
}

/** Envoy's default and limit, both prime. */
const TABLE_SIZE = 65_537;
const MAX_TABLE_SIZE = 5_000_011;

export interface MaglevFields {
  readonly tableSize: bigint | undefined;
  readonly balanceFactor: number | undefined;
}

/** Maglev, from either of the two messages that configure it. */
export function compileMaglev(field: string, fields: MaglevFields): Policy {
  const size = Number(fields.tableSize ?? BigInt(TABLE_SIZE));
  if (size > MAX_TABLE_SIZE || !isPrime(size))
    throw invalid(at(field, "table_size"), `must be a prime number up to ${MAX_TABLE_SIZE}`);
  return hashed(maglev(size), balanceFactor(field, fields.balanceFactor));
}

function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}

/** Percent; 0 = loads are not bounded. */
function balanceFactor(field: string, factor: number | undefined): number {
  if (factor !== undefined && factor < 100)
    throw invalid(at(field, "hash_balance_factor"), "must be at least 100");
  return factor ?? 0;
}

interface SlowStartFields {
  readonly slowStartWindow?: Duration | undefined;
  readonly aggression?: { readonly defaultValue: number } | undefined;
  readonly minWeightPercent?: { readonly value: number } | undefined;
}

/** Envoy's default of `min_weight_percent`. */
const MIN_WEIGHT_PERCENT = 10;

/** Slow start, from either of the two messages that configure it; undefined without a window. */
export function compileSlowStart(field: string, fields: SlowStartFields | undefined): SlowStart | undefined {
  const windowMs = durationMs(at(field, "slow_start_window"), fields?.slowStartWindow) ?? 0;
  if (windowMs === 0) return undefined;
  const aggression = fields?.aggression?.defaultValue ?? 1;
  if (!(aggression > 0)) throw invalid(at(field, "aggression"), "must be greater than 0");
  const percent = fields?.minWeightPercent?.value ?? MIN_WEIGHT_PERCENT;
  if (!(percent >= 0 && percent <= 100))
    throw invalid(at(field, "min_weight_percent"), "must be between 0 and 100");
  // Never nothing: who gets no request does not warm up.
  return { windowMs, aggression, minWeight: Math.max(0.001, percent / 100) };
}
