import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  type DescriptorProto,
  type FieldDescriptorProto,
  type MethodDescriptorProto,
} from "@bufbuild/protobuf/wkt";

/*
 * Descriptors as short texts, written while bundling and read when a message is first used:
 *
 *     message = field *( ";" field )
 *     field   = name " " number " " [ "(" oneof ")" / "?" / "*" / "+" / "{" scalar ":" ] type
 *     type    = scalar / "m" reference / "e" reference      scalar = FieldDescriptorProto.Type
 *     method  = name " " [ "*" ] reference " " [ "*" ] reference          * = a stream
 *
 * `?` is an optional field, `*` a list, `+` a list that is not packed though it could be, `{` a map with keys of that
 * type. A reference begins with a dot when it is to the same package.
 */

/** One field, read. */
export interface FieldText {
  readonly name: string;
  readonly number: number;
  readonly oneof: string | undefined;
  readonly isOptional: boolean;
  readonly isList: boolean;
  readonly isExpanded: boolean;
  readonly mapKey: number | undefined;
  readonly scalar: number | undefined;
  readonly message: string | undefined;
  readonly enum: string | undefined;
}

/** One method, read. */
export interface MethodText {
  readonly name: string;
  readonly methodKind: "unary" | "client_streaming" | "server_streaming" | "bidi_streaming";
  readonly input: string;
  readonly output: string;
}

const FIELD = /^(\w+) (\d+) (?:\((\w+)\)|([?*+])|\{(\d+):)?(?:(\d+)|([me])([\w.]+))$/;
const METHOD = /^(\w+) (\*?)([\w.]+) (\*?)([\w.]+)$/;

/** Reads a field of a message of that package. */
export function parseField(text: string, packageName: string): FieldText {
  const match = FIELD.exec(text);
  if (match === null) throw new Error(`not a field: ${text}`);
  const [, name = "", number, oneof, label, mapKey, scalar, kind, reference = ""] = match;
  return {
    name,
    number: Number(number),
    oneof,
    isOptional: label === "?",
    isList: label === "*" || label === "+",
    isExpanded: label === "+",
    mapKey: mapKey === undefined ? undefined : Number(mapKey),
    scalar: scalar === undefined ? undefined : Number(scalar),
    message: kind === "m" ? resolve(reference, packageName) : undefined,
    enum: kind === "e" ? resolve(reference, packageName) : undefined,
  };
}

/** Reads a method of a service of that package. */
export function parseMethod(text: string, packageName: string): MethodText {
  const match = METHOD.exec(text);
  if (match === null) throw new Error(`not a method: ${text}`);
  const [, name = "", fromClient, input = "", fromServer, output = ""] = match;
  const streams = `${fromClient}${fromServer === "" ? "" : "s"}`;
  const kinds = {
    "": "unary",
    "*": "client_streaming",
    s: "server_streaming",
    "*s": "bidi_streaming",
  } as const;
  return {
    name,
    methodKind: kinds[streams as keyof typeof kinds],
    input: resolve(input, packageName),
    output: resolve(output, packageName),
  };
}

/** Writes the fields of a message of that package. Throws on what the text cannot say. */
export function messageText(message: DescriptorProto, packageName: string): string {
  return message.field.map((field) => fieldText(field, message, packageName)).join(";");
}

function fieldText(field: FieldDescriptorProto, message: DescriptorProto, packageName: string): string {
  const { name, number, proto3Optional, label, options } = field;
  if (options?.jstype) throw new Error(`${message.name}.${name}: jstype cannot be written`);
  const begin = `${name} ${number} `;
  const type = typeText(field, packageName);
  if (label === Label.REPEATED) {
    const entry = message.nestedType.find(
      (nested) =>
        nested.options?.mapEntry === true && field.typeName.endsWith(`${message.name}.${nested.name}`),
    );
    const [key, value] = ["key", "value"].map((wanted) => entry?.field.find((each) => each.name === wanted));
    if (key !== undefined && value !== undefined)
      return `${begin}{${key.type}:${typeText(value, packageName)}`;
    return `${begin}${isExpanded(field) ? "+" : "*"}${type}`;
  }
  if (proto3Optional) return `${begin}?${type}`;
  const oneof = hasOneof(field) ? message.oneofDecl[field.oneofIndex] : undefined;
  return oneof === undefined ? begin + type : `${begin}(${oneof.name})${type}`;
}

/** Writes a method of a service of that package. */
export function methodText(method: MethodDescriptorProto, packageName: string): string {
  const side = (isStream: boolean, type: string): string =>
    `${isStream ? "*" : ""}${referenceTo(type, packageName)}`;
  return `${method.name} ${side(method.clientStreaming, method.inputType)} ${side(method.serverStreaming, method.outputType)}`;
}

function typeText({ type, typeName }: FieldDescriptorProto, packageName: string): string {
  if (type === Type.MESSAGE) return `m${referenceTo(typeName, packageName)}`;
  if (type === Type.ENUM) return `e${referenceTo(typeName, packageName)}`;
  return String(type);
}

/** Whether a list says that it is not packed. */
function isExpanded({ options }: FieldDescriptorProto): boolean {
  return options !== undefined && Object.hasOwn(options, "packed") && !options.packed;
}

/** Whether the field says which oneof it is in; 0 is also what is there by default. */
function hasOneof(field: FieldDescriptorProto): boolean {
  return Object.hasOwn(field, "oneofIndex");
}

function referenceTo(typeName: string, packageName: string): string {
  const own = packageName === "" ? "." : `.${packageName}.`;
  return typeName.startsWith(own) ? `.${typeName.slice(own.length)}` : typeName.slice(1);
}

function resolve(reference: string, packageName: string): string {
  if (!reference.startsWith(".")) return reference;
  return packageName === "" ? reference.slice(1) : packageName + reference;
}
