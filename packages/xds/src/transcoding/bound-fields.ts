import {
  create,
  fromJson,
  ScalarType,
  type DescField,
  type DescMessage,
  type JsonValue,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";

import { fieldOf } from "./http-rules.js";

/** Deepest path to a field. */
const MAX_DEPTH = 32;

/** A field within a message: the fields on the way, its own last. */
export type FieldWay = readonly DescField[];

/** Messages that JSON writes as a text or a number, so that a query can, too. */
const AS_TEXT: ReadonlySet<string> = new Set([
  "google.protobuf.Timestamp",
  "google.protobuf.Duration",
  "google.protobuf.FieldMask",
  "google.protobuf.DoubleValue",
  "google.protobuf.FloatValue",
  "google.protobuf.Int64Value",
  "google.protobuf.UInt64Value",
  "google.protobuf.Int32Value",
  "google.protobuf.UInt32Value",
  "google.protobuf.StringValue",
  "google.protobuf.BytesValue",
]);

/** The way to the field `path` of a message; undefined when it has none that a text can be the value of. */
export function wayTo(message: DescMessage, path: readonly string[]): FieldWay | undefined {
  if (path.length > MAX_DEPTH) return undefined;
  const way: DescField[] = [];
  let inside: DescMessage | undefined = message;
  for (const name of path) {
    const field: DescField | undefined = inside && fieldOf(inside.fields, name);
    if (field === undefined) return undefined;
    way.push(field);
    inside = field.fieldKind === "message" ? field.message : undefined;
  }
  const last = way.at(-1);
  return last !== undefined && takesText(last) ? way : undefined;
}

function takesText(field: DescField): boolean {
  switch (field.fieldKind) {
    case "scalar":
    case "enum":
      return true;
    case "list":
      return field.listKind !== "message";
    case "message":
      return AS_TEXT.has(field.message.typeName) || isBool(field);
    case "map":
      return false;
  }
}

/** Whether a field of two paths is one and the same, or lies within the other. */
export function overlaps(one: FieldWay, other: FieldWay): boolean {
  const shorter = Math.min(one.length, other.length);
  return one.slice(0, shorter).every((field, index) => field === other[index]);
}

/** A field and the texts that path or query have for it. */
export interface BoundField {
  readonly way: FieldWay;
  readonly texts: string[];
}

/** The message that has these fields and no others. Throws what protobuf says of a value that a field cannot have. */
export function messageOf(desc: DescMessage, bound: readonly BoundField[], registry: Registry): Message {
  const tree = Object.create(null) as Record<string, JsonValue>;
  for (const { way, texts } of bound) {
    let inside = tree;
    for (const field of way.slice(0, -1))
      inside = (inside[field.jsonName] ??= Object.create(null) as Record<string, JsonValue>) as Record<
        string,
        JsonValue
      >;
    const last = way.at(-1)!;
    const values = texts.map((text) => jsonOf(last, text));
    inside[last.jsonName] = last.fieldKind === "list" ? values : values[0]!;
  }
  return bound.length === 0 ? create(desc) : fromJson(desc, tree, { registry });
}

/** A text as JSON would have it. Numbers may be texts there, too. */
function jsonOf(field: DescField, text: string): JsonValue {
  if (isBool(field)) return text === "true" ? true : text === "false" ? false : text;
  const isEnum = field.fieldKind === "enum" || (field.fieldKind === "list" && field.listKind === "enum");
  return isEnum && /^-?\d{1,10}$/.test(text) ? Number(text) : text;
}

function isBool(field: DescField): boolean {
  if (field.fieldKind === "message") return field.message.typeName === "google.protobuf.BoolValue";
  return (field.fieldKind === "scalar" || field.fieldKind === "list") && field.scalar === ScalarType.BOOL;
}

/** What a field is at the end of a way; undefined = not set. */
export function valueAt(desc: DescMessage, message: Message, way: FieldWay): unknown {
  let inside: ReflectMessage = reflect(desc, message);
  for (const [index, field] of way.entries()) {
    if (!inside.isSet(field)) return undefined;
    if (index === way.length - 1) return inside.get(field);
    inside = inside.get(field) as ReflectMessage;
  }
  return undefined;
}
