import { z } from "zod";
import { isBase64 } from "../schema/base64.js";
import { mapOf } from "../schema/labels.js";
import { label } from "../schema/strings.js";
import { struct } from "../schema/struct.js";

/** Most bytes of one Secret, as in Kubernetes. */
export const MAX_SECRET_BYTES = 1_048_576;

const isKey = (key: string) => /^[-._a-zA-Z0-9]{1,253}$/.test(key) && key !== "." && key !== "..";
const KEY = "letters, digits, '-', '_', '.'";

/** A Secret's fields beside its metadata, as a user writes them. */
export const secretParts = struct({
  data: mapOf(
    // The value is not shown: it is a secret.
    z.string().refine((value) => value.length <= 1.4 * MAX_SECRET_BYTES && isBase64(value), {
      error: "is not base64",
    }),
    isKey,
    KEY,
  ).exactOptional(),
  stringData: mapOf(
    z.string().refine((value) => value.length <= MAX_SECRET_BYTES, { error: "is larger than 1 MiB" }),
    isKey,
    KEY,
  ).exactOptional(),
  type: label.exactOptional(),
  immutable: z.boolean().exactOptional(),
});
