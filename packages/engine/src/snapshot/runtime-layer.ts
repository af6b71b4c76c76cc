import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { RUNTIME_TYPE } from "@tulle/xds";
import { RuntimeSchema } from "@tulle/xds/gen/envoy/service/runtime/v3/rtds_pb.js";
import { NO_RUNTIME, type RuntimeShare, type RuntimeValues } from "../route/runtime-values.js";
import { decode } from "./any.js";
import { at, invalid } from "./invalid.js";
import { ResourceParts } from "./resource-parts.js";

/** The one layer that is asked for. */
export const RUNTIME_LAYER = "runtime";

const DENOMINATORS: ReadonlyMap<JsonValue | undefined, number> = new Map<JsonValue | undefined, number>([
  [undefined, 100],
  ["HUNDRED", 100],
  ["TEN_THOUSAND", 10_000],
  ["MILLION", 1_000_000],
]);
const MAX_DEPTH = 16;

/** The values of runtime keys, as RTDS sends them. They change while what names them stays as it was compiled. */
export class RuntimeLayer {
  readonly parts = new ResourceParts<RuntimeValues>(RUNTIME_TYPE);

  get values(): RuntimeValues {
    return this.parts.get(RUNTIME_LAYER) ?? NO_RUNTIME;
  }

  apply(name: string, version: string, bytes: Uint8Array): void {
    this.parts.set(name, version, bytes, this.parts.unchanged(name, bytes) ?? compile(bytes));
  }
}

function compile(bytes: Uint8Array): RuntimeValues {
  const { layer = {} } = decode("runtime", RuntimeSchema, bytes);
  const values = new Map<string, RuntimeShare>();
  read(layer, "", values, 0);
  return values;
}

/** A whole number is a percentage, an object with a numerator a fraction, any other object more keys below its own. */
function read(fields: JsonObject, prefix: string, values: Map<string, RuntimeShare>, depth: number): void {
  if (depth > MAX_DEPTH) throw invalid("layer", `is nested over ${MAX_DEPTH} levels deep`);
  for (const [name, value] of Object.entries(fields)) {
    const key = `${prefix}${name}`;
    if (typeof value === "number" && Number.isInteger(value) && value >= 0)
      values.set(key, { numerator: Math.min(value, 100), denominator: 100 });
    else if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      if ("numerator" in value || "denominator" in value) values.set(key, fractionOf(key, value));
      else read(value, `${key}.`, values, depth + 1);
    }
    // Texts and truth values are for keys of other kinds than shares.
  }
}

function fractionOf(key: string, { numerator = 0, denominator }: JsonObject): RuntimeShare {
  const field = at("layer", key);
  const whole = DENOMINATORS.get(denominator);
  if (whole === undefined)
    throw invalid(at(field, "denominator"), "must be HUNDRED, TEN_THOUSAND or MILLION");
  if (typeof numerator !== "number" || !Number.isInteger(numerator) || numerator < 0)
    throw invalid(at(field, "numerator"), "must be a whole number");
  return { numerator: Math.min(numerator, whole), denominator: whole };
}
