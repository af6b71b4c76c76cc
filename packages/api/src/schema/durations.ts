import { parseDuration } from "@tulle/base";
import type { z } from "zod";
import { stringThat } from "./strings.js";

/** Longest duration that a field takes: what protobuf's Duration holds in milliseconds, far beyond any use. */
const MAX_MS = 315_576_000_000_000;

/** A Go duration (`1h30m`, `500ms`) of at least `minimumMs`, for which `holds`. */
export function durationOf(minimumMs: number, expected: string): z.ZodType<string> {
  return stringThat((value) => {
    const ms = parseDuration(value);
    return ms !== undefined && ms >= minimumMs && ms <= MAX_MS;
  }, expected);
}

/** Zero allowed. */
export const duration = durationOf(0, 'a duration such as "5s", "250ms" or "1m30s"');

/** At least a millisecond: what timeouts and intervals need. */
export const positiveDuration = durationOf(1, 'a duration of at least 1ms, such as "5s" or "250ms"');
