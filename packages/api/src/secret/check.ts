import type { Checked, Violation } from "../kind.js";
import { base64OfText, base64Size } from "../schema/base64.js";
import { MAX_DATA_BYTES } from "../schema/data-keys.js";
import { checkParts } from "../schema/parts.js";
import { secretParts } from "./schema.js";
import type { SecretParts, SecretSpec } from "./type.js";

/** Keys that Kubernetes' own types of Secret must have. */
const REQUIRED_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ["kubernetes.io/tls", ["tls.crt", "tls.key"]],
  ["kubernetes.io/ssh-auth", ["ssh-privatekey"]],
  ["kubernetes.io/dockerconfigjson", [".dockerconfigjson"]],
]);

/** Checks a Secret: `stringData` is folded into `data`, over keys of the same name, and is never stored. */
export function checkSecret(raw: Readonly<Record<string, unknown>>): Checked<SecretSpec> {
  const checked = checkParts(secretParts, raw, { nullable: ["data", "stringData", "immutable", "type"] });
  if (!checked.ok) return checked;
  const { data, stringData, type, immutable } = checked.parts;
  const merged = new Map(Object.entries(data ?? {}));
  for (const [key, text] of Object.entries(stringData ?? {})) merged.set(key, base64OfText(text));
  const parts: SecretParts = {
    ...(merged.size === 0 ? {} : { data: Object.fromEntries(merged) }),
    type: type ?? "Opaque",
    ...(immutable === undefined ? {} : { immutable }),
  };
  const violations = wrongContent(parts);
  if (violations.length > 0) return { ok: false, violations, warnings: [] };
  return { ok: true, spec: {}, extra: { ...parts }, warnings: [] };
}

function wrongContent({ data = {}, type }: SecretParts): readonly Violation[] {
  const violations: Violation[] = [];
  const bytes = Object.values(data).reduce((sum, value) => sum + base64Size(value), 0);
  if (bytes > MAX_DATA_BYTES)
    violations.push({ path: "data", message: `has ${bytes} bytes; at most 1 MiB is allowed` });
  for (const key of REQUIRED_KEYS.get(type) ?? []) {
    if (!Object.hasOwn(data, key))
      violations.push({ path: `data[${JSON.stringify(key)}]`, message: `is required for type ${type}` });
  }
  return violations;
}
