import { z } from "zod";
import { show, typeName } from "./describe.js";

/** Longest string that any field takes unless it says otherwise. */
export const MAX_STRING = 65_536;

/** A string for which `holds`; `expected` completes "expected …" in the message. */
export function stringThat(holds: (text: string) => boolean, expected: string): z.ZodType<string> {
  const error = ({ input }: { readonly input?: unknown }) => {
    if (input === undefined) return `is required: expected ${expected}`;
    return typeof input === "string"
      ? `expected ${expected}, got ${show(input)}`
      : `expected a string (${expected}), got ${typeName(input)}`;
  };
  return z.string({ error }).refine(holds, { error });
}

export const text = stringThat((value) => value.length <= MAX_STRING, `at most ${MAX_STRING} characters`);

export const nonEmpty = stringThat(
  (value) => value.length > 0 && value.length <= MAX_STRING,
  `1 to ${MAX_STRING} characters`,
);

/** Names of routes, matches and statistics: anything printable on one line. */
export const label = stringThat(
  // oxlint-disable-next-line no-control-regex
  (value) => value.length > 0 && value.length <= 1024 && !/[\u0000-\u001f\u007f]/.test(value),
  "1 to 1024 characters without control characters",
);
