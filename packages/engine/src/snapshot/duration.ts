import type { Duration } from "@bufbuild/protobuf/wkt";
import { invalid } from "./invalid.js";

/** Longest time that timers can count, milliseconds (about 24.8 days): longer durations are cut to it. */
export const MAX_TIMER_MS = 0x7fff_ffff;

/** Milliseconds of a google.protobuf.Duration, at least 1 for what is above zero; undefined when the field is not set. */
export function durationMs(field: string, duration: Duration | undefined): number | undefined {
  if (duration === undefined) return undefined;
  const ms = Number(duration.seconds) * 1000 + duration.nanos / 1e6;
  if (ms < 0) throw invalid(field, "a duration must not be negative");
  return Math.min(MAX_TIMER_MS, ms > 0 ? Math.max(1, Math.round(ms)) : 0);
}
