import { MeshError } from "@tulle/base";
import type { Context } from "hono";
import { badRequest } from "./query.js";

/** Longest request body, bytes. */
export const MAX_BODY_BYTES = 1_048_576;

/** The JSON body of a request. Throws `invalid` REGISTRY_TOO_LARGE (413) and REGISTRY_BAD_REQUEST. */
export async function readJson(context: Context): Promise<unknown> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  const declared = Number(context.req.header("content-length") ?? 0);
  if (declared > MAX_BODY_BYTES) throw tooLarge();
  const body: AsyncIterable<Uint8Array> | null = context.req.raw.body;
  try {
    for await (const piece of body ?? []) {
      size += piece.length;
      if (size > MAX_BODY_BYTES) break;
      pieces.push(piece);
    }
  } catch (thrown) {
    throw new MeshError("invalid", "REGISTRY_BAD_REQUEST", "the body was cut off", { cause: thrown });
  }
  if (size > MAX_BODY_BYTES) throw tooLarge();
  try {
    return JSON.parse(Buffer.concat(pieces).toString("utf8"));
  } catch {
    throw badRequest("Request decode failed: the body is not JSON");
  }
}

function tooLarge(): MeshError {
  return new MeshError("invalid", "REGISTRY_TOO_LARGE", `the body is larger than ${MAX_BODY_BYTES} bytes`);
}
