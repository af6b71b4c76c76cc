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

function resolve(reference: string, packageName: string): string {
  if (!reference.startsWith(".")) return reference;
  return packageName === "" ? reference.slice(1) : packageName + reference;
}
