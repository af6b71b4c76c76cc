import { z } from "zod";
import { isBase64 } from "../schema/base64.js";
import { DATA_KEY, isDataKey, MAX_DATA_BYTES } from "../schema/data-keys.js";
import { mapOf } from "../schema/labels.js";
import { label } from "../schema/strings.js";
import { struct } from "../schema/struct.js";

/** A Secret's fields beside its metadata, as a user writes them. */
export const secretParts = struct({
  data: mapOf(
    // The value is not shown: it is a secret.
    z.string().refine((value) => value.length <= 1.4 * MAX_DATA_BYTES && isBase64(value), {
      error: "is not base64",
    }),
    isDataKey,
    DATA_KEY,
  ).exactOptional(),
  stringData: mapOf(
    z.string().refine((value) => value.length <= MAX_DATA_BYTES, { error: "is larger than 1 MiB" }),
    isDataKey,
    DATA_KEY,
  ).exactOptional(),
  type: label.exactOptional(),
  immutable: z.boolean().exactOptional(),
});
