import { MeshError, parseDuration } from "@tulle/base";
import { create } from "@bufbuild/protobuf";
import { DurationSchema, type Duration } from "@bufbuild/protobuf/wkt";

/** A protobuf duration of `ms` milliseconds, to the nanosecond. */
export function durationOf(ms: number): Duration {
  const nanos = Math.round(ms * 1e6);
  return create(DurationSchema, { seconds: BigInt(Math.floor(nanos / 1e9)), nanos: nanos % 1e9 });
}

/**
 * A protobuf duration of a Go duration. Throws `invalid` TRANSLATE_DURATION otherwise: objects were checked when they
 * were stored.
 */
export function durationOfText(text: string): Duration {
  const ms = parseDuration(text);
  if (ms === undefined) {
    throw new MeshError(
      "invalid",
      "TRANSLATE_DURATION",
      `"${text}" is not a duration; write it like 1.5s or 250ms`,
    );
  }
  return durationOf(ms);
}
