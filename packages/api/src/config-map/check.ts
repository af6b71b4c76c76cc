import type { Checked, Violation } from "../kind.js";
import { base64Size, textSize } from "../schema/base64.js";
import { MAX_DATA_BYTES } from "../schema/data-keys.js";
import { checkParts } from "../schema/parts.js";
import { configMapParts } from "./schema.js";
import type { ConfigMapParts, ConfigMapSpec } from "./type.js";

/** Checks a ConfigMap as Kubernetes does: no key is in both maps, and together they have at most 1 MiB. */
export function checkConfigMap(raw: Readonly<Record<string, unknown>>): Checked<ConfigMapSpec> {
  const checked = checkParts(configMapParts, raw, { nullable: ["data", "binaryData", "immutable"] });
  if (!checked.ok) return checked;
  const violations = wrongContent(checked.parts);
  if (violations.length > 0) return { ok: false, violations, warnings: [] };
  return { ok: true, spec: {}, extra: { ...checked.parts }, warnings: [] };
}

function wrongContent({ data = {}, binaryData = {} }: ConfigMapParts): readonly Violation[] {
  const violations: Violation[] = [];
  for (const key of Object.keys(binaryData)) {
    if (Object.hasOwn(data, key))
      violations.push({ path: `binaryData[${JSON.stringify(key)}]`, message: "is in data, too" });
  }
  const bytes =
    Object.values(data).reduce((sum, value) => sum + textSize(value), 0) +
    Object.values(binaryData).reduce((sum, value) => sum + base64Size(value), 0);
  if (bytes > MAX_DATA_BYTES)
    violations.push({ path: "data", message: `has ${bytes} bytes; at most 1 MiB is allowed` });
  return violations;
}
