import type { DescEnum, DescField, DescFile, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import { protoCamelCase, safeObjectProperty } from "@bufbuild/protobuf/reflect";

import { parseField, parseMethod, type FieldText } from "./read-text.js";

/** `google.protobuf.Edition.EDITION_PROTO3`; the build refuses others. */
const PROTO3 = 999;
/** `google.protobuf.FeatureSet.FieldPresence`. */
const EXPLICIT = 1;
const IMPLICIT = 2;
/** `google.protobuf.FieldDescriptorProto.Type`: what cannot be packed. */
const STRING = 9;
const BYTES = 12;

/** What a file declares, each type by its name without the package; see `read-text.ts`. */
export interface LeanTypes {
  readonly messages: Readonly<Record<string, string>>;
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly services: Readonly<Record<string, readonly string[]>>;
}

const messages = new Map<string, LeanMessage>();
const enums = new Map<string, LeanEnum>();

/**
 * The descriptor of a .proto file in the sidecar's bundle. The runtime's own builds an object for every field of every
 * message when a module loads, and keeps what it was decoded from: 3 MB of every sidecar. These build a message's
 * fields when it is first decoded or made. They have what encoding, decoding and making messages look at, no more:
 * no options, no `proto`. The dependencies are arguments so that bundling keeps them.
 */
export function leanFile(
  packageName: string,
  _dependencies: readonly DescFile[],
  types: LeanTypes,
): DescFile {
  const file = new LeanFile(packageName, types.services);
  for (const [name, text] of Object.entries(types.messages)) {
    const message = new LeanMessage(file, name, text);
    messages.set(message.typeName, message);
  }
  for (const [name, values] of Object.entries(types.enums)) {
    const type = new LeanEnum(file, name, values);
    enums.set(type.typeName, type);
  }
  return file as unknown as DescFile;
}

/** The message of that name, from the package's on, in a file. */
export function leanMessage(file: DescFile, name: string): DescMessage {
  return messageNamed(file.name === "" ? name : `${file.name}.${name}`) as unknown as DescMessage;
}

/** The enum of that name in a file. */
export function leanEnum(file: DescFile, name: string): DescEnum {
  return enumNamed(file.name === "" ? name : `${file.name}.${name}`) as unknown as DescEnum;
}

/** The service of that name in a file. */
export function leanService(file: DescFile, name: string): DescService {
  const methods = (file as unknown as LeanFile).methodsOf[name] ?? [];
  return new LeanService(file as unknown as LeanFile, name, methods) as unknown as DescService;
}

function messageNamed(typeName: string): LeanMessage {
  const message = messages.get(typeName);
  if (message === undefined) throw new Error(`the bundle has no message ${typeName}`);
  return message;
}

function enumNamed(typeName: string): LeanEnum {
  const type = enums.get(typeName);
  if (type === undefined) throw new Error(`the bundle has no enum ${typeName}`);
  return type;
}

class LeanFile {
  readonly kind = "file";
  readonly edition = PROTO3;

  constructor(
    /** The package; the runtime's descriptors have the path here, which only errors print. */
    readonly name: string,
    readonly methodsOf: LeanTypes["services"],
  ) {}

  toString(): string {
    return `file of ${this.name}`;
  }
}

/** A type with a name in a package. */
class LeanType {
  readonly typeName: string;
  readonly parent = undefined;
  readonly deprecated = false;

  constructor(
    readonly file: LeanFile,
    readonly name: string,
  ) {
    this.typeName = file.name === "" ? name : `${file.name}.${name}`;
  }
}

interface Members {
  readonly fields: readonly LeanField[];
  readonly oneofs: readonly LeanOneof[];
  readonly members: readonly (LeanField | LeanOneof)[];
  /** By local name. */
  readonly field: Readonly<Record<string, LeanField>>;
}

class LeanMessage extends LeanType {
  readonly kind = "message";
  readonly #text: string;
  #members: Members | undefined;

  constructor(file: LeanFile, name: string, text: string) {
    super(file, name);
    this.#text = text;
  }

  get fields(): Members["fields"] {
    return this.#all().fields;
  }

  get oneofs(): Members["oneofs"] {
    return this.#all().oneofs;
  }

  get members(): Members["members"] {
    return this.#all().members;
  }

  get field(): Members["field"] {
    return this.#all().field;
  }

  override toString(): string {
    return `message ${this.typeName}`;
  }

  #all(): Members {
    return (this.#members ??= membersOf(this, this.#text));
  }
}

function membersOf(message: LeanMessage, text: string): Members {
  const fields: LeanField[] = [];
  const members: (LeanField | LeanOneof)[] = [];
  const oneofs = new Map<string, LeanOneof>();
  for (const part of text === "" ? [] : text.split(";")) {
    const parsed = parseField(part, message.file.name);
    let oneof = parsed.oneof === undefined ? undefined : oneofs.get(parsed.oneof);
    if (oneof === undefined && parsed.oneof !== undefined) {
      oneof = new LeanOneof(message, parsed.oneof);
      oneofs.set(parsed.oneof, oneof);
      members.push(oneof);
    }
    const field = new LeanField(message, oneof, parsed);
    fields.push(field);
    if (oneof === undefined) members.push(field);
    else oneof.fields.push(field);
  }
  const field = Object.fromEntries(fields.map((each) => [each.localName, each]));
  return { fields, members, oneofs: [...oneofs.values()], field };
}

class LeanOneof {
  readonly kind = "oneof";
  readonly deprecated = false;
  readonly fields: LeanField[] = [];
  readonly localName: string;

  constructor(
    readonly parent: LeanMessage,
    readonly name: string,
  ) {
    this.localName = safeObjectProperty(protoCamelCase(name));
  }

  toString(): string {
    return `oneof ${this.parent.typeName}.${this.name}`;
  }
}

class LeanField {
  readonly kind = "field";
  readonly deprecated = false;
  readonly utf8Validation = true;
  readonly longAsString = false;
  readonly name: string;
  readonly localName: string;
  readonly jsonName: string;
  readonly number: number;
  readonly fieldKind: DescField["fieldKind"];
  readonly presence: number;
  readonly scalar: number | undefined;
  readonly message: LeanMessage | undefined;
  readonly enum: LeanEnum | undefined;
  readonly listKind: string | undefined;
  readonly mapKind: string | undefined;
  readonly mapKey: number | undefined;
  readonly packed: boolean | undefined;
  readonly delimitedEncoding: boolean | undefined;

  constructor(
    readonly parent: LeanMessage,
    readonly oneof: LeanOneof | undefined,
    text: FieldText,
  ) {
    const { scalar } = text;
    this.name = text.name;
    this.number = text.number;
    this.jsonName = protoCamelCase(text.name);
    this.localName = oneof === undefined ? safeObjectProperty(this.jsonName) : this.jsonName;
    this.scalar = scalar;
    this.message = text.message === undefined ? undefined : messageNamed(text.message);
    this.enum = text.enum === undefined ? undefined : enumNamed(text.enum);
    const valueKind = this.message ? "message" : this.enum ? "enum" : "scalar";
    const isMap = text.mapKey !== undefined;
    const isList = text.isList;
    this.fieldKind = isMap ? "map" : isList ? "list" : valueKind;
    this.mapKey = text.mapKey;
    this.mapKind = isMap ? valueKind : undefined;
    this.listKind = isList ? valueKind : undefined;
    const cannotBePacked = this.message !== undefined || scalar === STRING || scalar === BYTES;
    this.packed = isList ? !cannotBePacked && !text.isExpanded : undefined;
    this.delimitedEncoding = isMap || this.message !== undefined ? false : undefined;
    const isExplicit = oneof !== undefined || text.isOptional || this.fieldKind === "message";
    this.presence = isExplicit ? EXPLICIT : IMPLICIT;
  }

  getDefaultValue(): undefined {
    return undefined;
  }

  toString(): string {
    return `field ${this.parent.typeName}.${this.name}`;
  }
}

class LeanEnum extends LeanType {
  readonly kind = "enum";
  readonly open = true;
  readonly #numbers: Readonly<Record<string, number>>;
  #values: readonly LeanEnumValue[] | undefined;

  constructor(file: LeanFile, name: string, numbers: Readonly<Record<string, number>>) {
    super(file, name);
    this.#numbers = numbers;
  }

  get values(): readonly LeanEnumValue[] {
    this.#values ??= Object.entries(this.#numbers).map(([name, number]) => ({
      kind: "enum_value",
      name,
      jsonName: name,
      number,
      parent: this,
    }));
    return this.#values;
  }

  get value(): Readonly<Record<number, LeanEnumValue>> {
    const first: Record<number, LeanEnumValue> = {};
    for (const value of this.values) first[value.number] ??= value;
    return first;
  }

  override toString(): string {
    return `enum ${this.typeName}`;
  }
}

interface LeanEnumValue {
  readonly kind: "enum_value";
  readonly name: string;
  readonly jsonName: string;
  readonly number: number;
  readonly parent: LeanEnum;
}

class LeanService extends LeanType {
  readonly kind = "service";
  readonly methods: readonly DescMethod[];
  readonly method: Readonly<Record<string, DescMethod>>;

  constructor(file: LeanFile, name: string, methods: readonly string[]) {
    super(file, name);
    this.methods = methods.map((text) => {
      const { input, output, ...rest } = parseMethod(text, file.name);
      const method = {
        kind: "rpc",
        ...rest,
        localName: safeObjectProperty(rest.name.charAt(0).toLowerCase() + rest.name.slice(1)),
        parent: this,
        deprecated: false,
        idempotency: 0,
        input: messageNamed(input),
        output: messageNamed(output),
        toString: () => `rpc ${this.typeName}.${rest.name}`,
      };
      return method as unknown as DescMethod;
    });
    this.method = Object.fromEntries(this.methods.map((method) => [method.localName, method]));
  }

  override toString(): string {
    return `service ${this.typeName}`;
  }
}
