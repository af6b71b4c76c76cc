import { fromBinary } from "@bufbuild/protobuf";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { invalid } from "./invalid.js";

/** Whether an Any holds a message of this type. */
export function holds(any: Any, schema: DescMessage): boolean {
  return typeName(any) === schema.typeName;
}

/** The full name of the message in an Any: what follows the last slash of its type URL. */
export function typeName(any: Any): string {
  return any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1);
}

/** The message in an Any, which must be of this type. */
export function unpack<Desc extends DescMessage>(
  field: string,
  any: Any | undefined,
  schema: Desc,
): MessageShape<Desc> {
  if (any === undefined) throw invalid(field, `must be set, to a ${schema.typeName}`);
  if (!holds(any, schema))
    throw invalid(field, `is a ${typeName(any) || "message without type"}, not a ${schema.typeName}`);
  return decode(field, schema, any.value);
}

/** Decodes bytes, with the field's name in the error. */
export function decode<Desc extends DescMessage>(
  field: string,
  schema: Desc,
  bytes: Uint8Array,
): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw invalid(field, `is not a valid ${schema.typeName}: ${why}`);
  }
}
