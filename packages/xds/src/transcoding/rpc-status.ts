import { fromBinary, toJson, type JsonValue, type Registry } from "@bufbuild/protobuf";
import { AnySchema, type Any } from "@bufbuild/protobuf/wkt";
import { base64Decode } from "@bufbuild/protobuf/wire";

import { StatusSchema } from "../gen/google/rpc/status_pb.js";

/**
 * A `google.rpc.Status` as JSON. `details`: the field `grpc-status-details-bin`; of its details those are left out that the
 * registry does not know.
 */
export function statusJson(
  code: number,
  message: string,
  details: string | undefined,
  registry: Registry,
): Record<string, JsonValue> {
  const known = details === undefined ? [] : detailsOf(details).flatMap((any) => anyJson(any, registry));
  return { code, message, ...(known.length > 0 && { details: known }) };
}

function detailsOf(text: string): readonly Any[] {
  try {
    return fromBinary(StatusSchema, base64Decode(text)).details;
  } catch {
    return [];
  }
}

function anyJson(any: Any, registry: Registry): JsonValue[] {
  try {
    return [toJson(AnySchema, any, { registry })];
  } catch {
    return [];
  }
}
