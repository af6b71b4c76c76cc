import { MeshError } from "@tulle/base";
import type { Context } from "hono";

/** The body of a request as JSON. Rejects with `invalid` CONTROL_BODY. */
export async function readJson(c: Context): Promise<unknown> {
  try {
    return await c.req.json();
  } catch (cause) {
    throw new MeshError("invalid", "CONTROL_BODY", "the body is no JSON", { cause });
  }
}
