import { create } from "@bufbuild/protobuf";
import { isRuntimeKey, type VirtualServiceSpec } from "@tulle/api";
import {
  RuntimeFractionalPercentSchema,
  type RuntimeFractionalPercent,
} from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { fraction } from "../messages.js";
import type { Translation } from "../translation.js";
import type { OwnedRule } from "./rule.js";

/**
 * Annotation of a VirtualService: `RULE=KEY[:PERCENT]` has the rule of that name take a share of its requests only, that of the runtime
 * key; `RULE/mirror=KEY`, `RULE/delay=KEY` and `RULE/abort=KEY` put a key in place of the percentage that the rule has there.
 */
export const RUNTIME_KEYS = "tulle.dev/runtime-keys";

const ENTRY =
  /^([^\s,=/]{1,253})(?:\/(mirror|delay|abort))?=([^\s,=:/]{1,253})(?::(\d{1,3}(?:\.\d{1,4})?))?$/;
const MAX_ENTRIES = 256;

/** The keys that one rule goes by; empty texts: none. */
export interface RuntimeKeys {
  /** The share of requests that the rule takes; undefined: all. */
  readonly share: RuntimeFractionalPercent | undefined;
  readonly mirror: string;
  readonly delay: string;
  readonly abort: string;
}

export const NO_KEYS: RuntimeKeys = { share: undefined, mirror: "", delay: "", abort: "" };

/** What the annotation says of a rule; what cannot be read is left out, with a warning. */
export function annotatedRuntimeKeys(t: Translation, { rule, object }: OwnedRule): RuntimeKeys {
  const text = object.metadata.annotations?.[RUNTIME_KEYS];
  if (text === undefined || object.kind !== "VirtualService") return NO_KEYS;
  const { namespace, name } = object.metadata;
  const where = `VirtualService ${namespace}/${name}: annotation ${RUNTIME_KEYS}`;
  const names = new Set(((object.spec as VirtualServiceSpec).http ?? []).map((each) => each.name));
  const found: { -readonly [Key in keyof RuntimeKeys]: RuntimeKeys[Key] } = { ...NO_KEYS };
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== "");
  if (entries.length > MAX_ENTRIES)
    t.warn(`${where} has over ${MAX_ENTRIES} entries; the rest has no effect`);
  for (const entry of entries.slice(0, MAX_ENTRIES)) {
    const [, ruleName, part, key = "", percent] = ENTRY.exec(entry) ?? [];
    const wrong = percent !== undefined && (part !== undefined || Number(percent) > 100);
    if (ruleName === undefined || wrong || !isRuntimeKey(key)) {
      t.warn(
        `${where}: "${entry}" must be RULE=KEY[:PERCENT], or RULE/mirror, /delay or /abort=KEY; it has no effect`,
      );
    } else if (!names.has(ruleName)) {
      t.warn(`${where}: there is no http rule called "${ruleName}"; "${entry}" has no effect`);
    } else if (ruleName === rule.name) {
      if (part === undefined) found.share = keyed(percent === undefined ? undefined : Number(percent), key);
      else found[part as "mirror" | "delay" | "abort"] = key;
    }
  }
  return found;
}

/** A percentage (default 100) that a runtime key may replace. */
export function keyed(percent: number | undefined, runtimeKey: string): RuntimeFractionalPercent {
  return create(RuntimeFractionalPercentSchema, { defaultValue: fraction(percent), runtimeKey });
}
