import { MeshError } from "@tulle/base";
import type { Context } from "hono";

const MAX_BODY_BYTES = 64 * 1024;

/**
 * The body of a request as JSON, of at most `maxBytes` (default 64 KiB) however it is sent. Rejects with `invalid`
 * CONTROL_BODY, CONTROL_BODY_SIZE.
 */
export async function readJson(c: Context, maxBytes = MAX_BODY_BYTES): Promise<unknown> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  const body: AsyncIterable<Uint8Array> | null = c.req.raw.body;
  try {
    for await (const piece of body ?? []) {
      size += piece.length;
      if (size > maxBytes) break;
      pieces.push(piece);
    }
  } catch (cause) {
    throw new MeshError("invalid", "CONTROL_BODY", "the body was cut off", { cause });
  }
  if (size > maxBytes) {
    throw new MeshError("invalid", "CONTROL_BODY_SIZE", `the body is over ${maxBytes / 1024} KiB`);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString("utf8"));
  } catch (cause) {
    throw new MeshError("invalid", "CONTROL_BODY", "the body is no JSON", { cause });
  }
}
