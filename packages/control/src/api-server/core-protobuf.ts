import { MeshError } from "@tulle/base";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

import type { Json, JsonObject } from "./patch.js";

/** What newer kubectls send for core kinds: a magic number, then a `runtime.Unknown` around the object. */
export const KUBERNETES_PROTOBUF = "application/vnd.kubernetes.protobuf";

const MAGIC = "k8s\u0000";

type FieldReader = (reader: BinaryReader) => Json;
interface Field {
  readonly name: string;
  readonly read: FieldReader;
  readonly merge?: "list" | "map";
}
type Message = Readonly<Record<number, Field>>;

const text: FieldReader = (reader) => reader.string();
const base64: FieldReader = (reader) => Buffer.from(reader.bytes()).toString("base64");

// Field numbers of k8s.io/apimachinery/pkg/apis/meta/v1 and k8s.io/api/core/v1.
const OBJECT_META: Message = {
  1: { name: "name", read: text },
  2: { name: "generateName", read: text },
  3: { name: "namespace", read: text },
  6: { name: "resourceVersion", read: text },
  11: { name: "labels", read: entry(text), merge: "map" },
  12: { name: "annotations", read: entry(text), merge: "map" },
  14: { name: "finalizers", read: text, merge: "list" },
};
const METADATA: Field = { name: "metadata", read: message(OBJECT_META) };
const MESSAGES = new Map<string, Message>([
  [
    "v1/Namespace",
    {
      1: METADATA,
      2: { name: "spec", read: message({ 1: { name: "finalizers", read: text, merge: "list" } }) },
    },
  ],
  [
    "v1/Secret",
    {
      1: METADATA,
      2: { name: "data", read: entry(base64), merge: "map" },
      3: { name: "type", read: text },
      4: { name: "stringData", read: entry(text), merge: "map" },
      5: { name: "immutable", read: (reader) => reader.bool() },
    },
  ],
]);

const TYPE_META: Message = { 1: { name: "apiVersion", read: text }, 2: { name: "kind", read: text } };
const UNKNOWN: Message = {
  1: { name: "typeMeta", read: message(TYPE_META) },
  2: { name: "raw", read: base64 },
};

/** Reads a Namespace or a Secret. `invalid` API_BODY for anything else: kubectl sends other kinds as JSON. */
export function readCoreProtobuf(bytes: Uint8Array): JsonObject {
  try {
    if (Buffer.from(bytes.subarray(0, 4)).toString("latin1") !== MAGIC)
      throw new Error("the magic number is missing");
    const envelope = readMessage(new BinaryReader(bytes.subarray(4)), UNKNOWN);
    const typeMeta = envelope["typeMeta"] as Readonly<Record<string, string>>;
    const known = MESSAGES.get(`${typeMeta["apiVersion"]}/${typeMeta["kind"]}`);
    if (known === undefined) throw new Error("only Namespace and Secret are read in this form: send JSON");
    const object = readMessage(
      new BinaryReader(Buffer.from((envelope["raw"] ?? "") as string, "base64")),
      known,
    );
    return { ...typeMeta, ...object };
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : "";
    throw new MeshError("invalid", "API_BODY", `cannot read the protobuf body: ${why}`);
  }
}

function message(fields: Message): FieldReader {
  return (reader) => readMessage(new BinaryReader(reader.bytes()), fields);
}

/** A map's entry, as an object of one member. */
function entry(value: FieldReader): FieldReader {
  const fields: Message = { 1: { name: "key", read: text }, 2: { name: "value", read: value } };
  return (reader) => {
    const read = readMessage(new BinaryReader(reader.bytes()), fields);
    return { [(read["key"] ?? "") as string]: read["value"] ?? "" };
  };
}

function readMessage(reader: BinaryReader, fields: Message): JsonObject {
  const out = new Map<string, Json>();
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = fields[number];
    const readable = wireType === WireType.LengthDelimited || wireType === WireType.Varint;
    if (field === undefined || !readable) {
      reader.skip(wireType, number);
      continue;
    }
    const value = field.read(reader);
    const before = out.get(field.name);
    if (field.merge === "list")
      out.set(field.name, [...((before as readonly Json[] | undefined) ?? []), value]);
    else if (field.merge === "map")
      out.set(field.name, { ...(before as JsonObject | undefined), ...(value as JsonObject) });
    // Go encodes empty strings: they are absent fields.
    else if (value !== "") out.set(field.name, value);
  }
  return Object.fromEntries(out);
}
