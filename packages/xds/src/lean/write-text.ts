import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  type DescriptorProto,
  type FieldDescriptorProto,
  type MethodDescriptorProto,
} from "@bufbuild/protobuf/wkt";

// The grammar stands in read-text.ts; apart from it, because only bundling writes.

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
