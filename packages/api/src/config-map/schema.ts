import { z } from "zod";
import { isBase64 } from "../schema/base64.js";
import { DATA_KEY, isDataKey, MAX_DATA_BYTES } from "../schema/data-keys.js";
import { mapOf } from "../schema/labels.js";
import { struct } from "../schema/struct.js";

/** A ConfigMap's fields beside its metadata, as a user writes them. */
export const configMapParts = struct({
  data: mapOf(
    z.string().refine((value) => value.length <= MAX_DATA_BYTES, { error: "is larger than 1 MiB" }),
    isDataKey,
    DATA_KEY,
  ).exactOptional(),
  binaryData: mapOf(
    z.string().refine((value) => value.length <= 1.4 * MAX_DATA_BYTES && isBase64(value), {
      error: "is not base64",
    }),
    isDataKey,
    DATA_KEY,
  ).exactOptional(),
  immutable: z.boolean().exactOptional(),
});
