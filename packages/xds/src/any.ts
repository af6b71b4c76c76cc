import { create, fromBinary, toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { AnySchema, type Any } from "@bufbuild/protobuf/wkt";
import { MeshError } from "@tulle/base";

const PREFIX = "type.googleapis.com/";

/** What of an Any is read here: the message, or one that only looks like it. */
export type AnyLike = Pick<Any, "typeUrl" | "value">;

/** `type.googleapis.com/<full name>`, as every Any of xDS names its message. */
export function typeUrlOf(schema: DescMessage): string {
  return PREFIX + schema.typeName;
}

/** Encodes a message into an Any. */
export function packAny<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Any {
  return packBytes(typeUrlOf(schema), toBinary(schema, message));
}

/** Wraps a message that is encoded already. The bytes are shared, not copied. */
export function packBytes(typeUrl: string, bytes: Uint8Array): Any {
  return create(AnySchema, { typeUrl, value: bytes });
}

/** Whether an Any holds this message, whatever stands before the last slash of its type URL. */
export function isAny(any: AnyLike, schema: DescMessage): boolean {
  return any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1) === schema.typeName;
}

/**
 * Decodes an Any, or returns undefined when it is absent or holds another message.
 * Throws `invalid` XDS_ANY_MALFORMED when its bytes are not that message.
 */
export function unpackAny<Desc extends DescMessage>(
  any: AnyLike | undefined,
  schema: Desc,
): MessageShape<Desc> | undefined {
  if (any === undefined || !isAny(any, schema)) return undefined;
  try {
    return fromBinary(schema, any.value);
  } catch (thrown) {
    throw new MeshError("invalid", "XDS_ANY_MALFORMED", `the bytes are not a valid ${schema.typeName}`, {
      cause: thrown,
    });
  }
}
