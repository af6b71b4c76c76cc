import type { Column, MeshObject } from "./kind.js";

/**
 * A span of time as kubectl writes it: two units while the larger is small (`5m30s`, `2d3h`), else one (`45d`). Negative
 * spans (clocks that differ) are `0s`.
 */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return joined(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return joined(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return joined(days, "d", hours % 24, "h");
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 ? joined(years, "y", days % 365, "d") : `${years}y`;
}

function joined(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;
}

/** The age of an RFC 3339 time at `now` (milliseconds since the epoch); `<unknown>` when it is not a time. */
export function ageOf(timestamp: string | undefined, now: number): string {
  const then = timestamp === undefined ? Number.NaN : Date.parse(timestamp);
  return Number.isNaN(then) ? "<unknown>" : formatAge(now - then);
}

/** The AGE column that every kind has. */
export const ageColumn: Column = {
  name: "Age",
  type: "string",
  description: "Time since the object was created.",
  priority: 0,
  cell: (object: MeshObject, now: number) => ageOf(object.metadata.creationTimestamp, now),
};
