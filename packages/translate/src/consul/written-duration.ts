import { parseDuration } from "@tulle/base";

/** A duration of 0 says nothing. */
export function some(duration: string | undefined): string | undefined {
  return duration !== undefined && (parseDuration(duration) ?? 0) > 0 ? duration : undefined;
}
