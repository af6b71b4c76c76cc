import { MeshError } from "@tulle/base";
import { copyJson } from "../schema/copy.js";
import { violationsOf } from "../schema/violations.js";
import { retries } from "./retries.js";
import type { HttpRetry } from "./type.js";

/**
 * Reads retries that stand outside of a VirtualService (Istio's `defaultHttpRetryPolicy`), as JSON, by the same rules.
 * Throws `invalid` API_RETRIES that names what is wrong.
 */
export function readHttpRetry(text: string, field: string): HttpRetry {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    throw refused(`${field}: expected JSON, such as {"attempts": 3, "retryOn": "connect-failure,503"}`);
  }
  const copied = copyJson(raw, [field]);
  const parsed = violationsOf(retries, copied.value, [field]);
  const violations = [...copied.violations, ...parsed.violations];
  if (!parsed.success || violations.length > 0) {
    throw refused(violations.map(({ path, message }) => `${path}: ${message}`).join("; "));
  }
  return parsed.data as HttpRetry;
}

function refused(message: string): MeshError {
  return new MeshError("invalid", "API_RETRIES", message);
}
