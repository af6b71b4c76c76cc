import { MeshError } from "@tulle/base";

import { KUBERNETES_PROTOBUF, readCoreProtobuf } from "./core-protobuf.js";
import { isObject, type Json, type JsonObject } from "./patch.js";

/** As Kubernetes' own server. */
const MAX_BODY_BYTES = 3 * 1024 * 1024;
const MAX_DEPTH = 64;

/**
 * Reads a JSON body (or a core object as protobuf). Errors: `exhausted` API_BODY_SIZE over 3 MiB, `invalid` API_BODY for what is no JSON or nested
 * over 64 deep.
 */
export async function readJson(request: Request): Promise<Json> {
  const bytes = await readBytes(request);
  if (request.headers.get("content-type") === KUBERNETES_PROTOBUF) return readCoreProtobuf(bytes);
  const text = bytes.toString("utf8");
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : "";
    throw new MeshError("invalid", "API_BODY", `the body is no JSON: ${why}`);
  }
  if (tooDeep(value))
    throw new MeshError("invalid", "API_BODY", `the body is nested over ${MAX_DEPTH} levels deep`);
  return value;
}

/** Like {@link readJson}, for a body that must be an object. */
export async function readObject(request: Request): Promise<JsonObject> {
  const value = await readJson(request);
  if (!isObject(value)) throw new MeshError("invalid", "API_BODY", "the body must be a JSON object");
  return value;
}

async function readBytes(request: Request): Promise<Buffer> {
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > MAX_BODY_BYTES) throw tooLarge();
  if (request.body === null) return Buffer.alloc(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Counted while reading: a chunked body declares no length.
  for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(): MeshError {
  return new MeshError("exhausted", "API_BODY_SIZE", `the body is over ${MAX_BODY_BYTES} bytes`);
}

/** Level by level, so that the check itself cannot overflow the stack. */
function tooDeep(value: Json): boolean {
  let level: Json[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) return true;
    level = level.flatMap((item): Json[] =>
      typeof item === "object" && item !== null ? Object.values<Json>(item as readonly Json[]) : [],
    );
  }
  return false;
}
