import { z } from "zod";
import { show } from "./describe.js";
import { struct } from "./struct.js";
import { stringThat } from "./strings.js";

const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const PREFIX = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** Whether `key` is a qualified name: an optional DNS prefix and `/`, then at most 63 of letters, digits, `-_.`. */
export function isQualifiedName(key: string): boolean {
  const slash = key.indexOf("/");
  if (slash === -1) return NAME.test(key);
  const prefix = key.slice(0, slash);
  return prefix.length <= 253 && PREFIX.test(prefix) && NAME.test(key.slice(slash + 1));
}

/** Whether `value` may be a label's value: empty, or at most 63 of letters, digits, `-_.`. */
export function isLabelValue(value: string): boolean {
  return value === "" || NAME.test(value);
}

/** What labels' keys and values must be, for messages. */
export const LABEL_KEY = 'a label key such as "app" or "example.com/team"';
export const LABEL_VALUE =
  "a label value: at most 63 letters, digits, '-', '_', '.', beginning and ending with a letter or digit";

/** A map whose keys are checked too: a bad key is reported at the key. */
export function mapOf<Value>(
  value: z.ZodType<Value>,
  isKey: (key: string) => boolean,
  expectedKey: string,
): z.ZodType<Record<string, Value>> {
  return z.record(z.string(), value).superRefine(
    (map: unknown, context) => {
      if (typeof map !== "object" || map === null) return;
      for (const key of Object.keys(map)) {
        if (!isKey(key)) {
          context.addIssue({
            code: "custom",
            path: [key],
            message: `expected ${expectedKey} as key, got ${show(key)}`,
          });
        }
      }
    },
    { when: ({ value }) => typeof value === "object" && value !== null && !Array.isArray(value) },
  );
}

export const labels = mapOf(stringThat(isLabelValue, LABEL_VALUE), isQualifiedName, LABEL_KEY);

/** Istio's `selector` of policies. */
export const matchLabelsSelector = struct({ matchLabels: labels.exactOptional() });
