// Makes the descriptors of generated code small for the bundle: they are built into objects when a module loads and stay
// in memory for ever, and most of what Envoy's messages can say is of no concern to a sidecar.
import { create, fromBinary, isFieldSet, toBinary } from "@bufbuild/protobuf";
import { protoCamelCase } from "@bufbuild/protobuf/reflect";
import * as wkt from "@bufbuild/protobuf/wkt";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { leanTypesOf } from "../packages/xds/dist/lean/file.js";

const { FieldDescriptorProtoSchema, FieldOptionsSchema, FileDescriptorProtoSchema, MessageOptionsSchema } =
  wkt;
const FILE = /fileDesc\("([^"]*)"(?:, \[([^\]]*)\])?\)/;
const DESCRIPTION =
  /^export const (\w+) = \/\*@__PURE__\*\/ (message|enum|service)Desc\(\w+, ([\d, ]+)\);$/gm;
/** An enum as TypeScript compiles it, which no bundler leaves out. */
const ENUM = /^export var (\w+);\n\(function \(\1\) \{\n([\s\S]*?)\n\}\)\(\1 \|\| \(\1 = \{\}\)\);$/gm;
const ENUM_VALUE = /^ *\w+\[\w+\["(\w+)"\] = (-?\d+)\] = "\w+";$/gm;
const RUNTIME_IMPORT = /^import \{[^}]*\} from "[^"]*\/codegenv2[^"]*";$/gm;
const EXTENSION = /^export const \w+ = \/\*@__PURE__\*\/\s+extDesc\(\w+, \d+\);$/gm;
const LEAN = fileURLToPath(new URL("../packages/xds/dist/lean/descriptors.js", import.meta.url));
const ANNOTATIONS = /^file_(validate_validate|udpa_annotations_|envoy_annotations_|xds_annotations_)/;

/** Generated code without what only code generators and validators read: annotations, reserved names, extensions. */
export function withoutAnnotations(text) {
  const file = read(text);
  file.dependencies = file.dependencies.filter((name) => !ANNOTATIONS.test(name));
  return write(text, file).replace(/^import \{ (\w+) \} from .*$/gm, (line, name) =>
    ANNOTATIONS.test(name) ? "" : line,
  );
}

/**
 * Generated code with only those fields whose names stand anywhere in the code that uses it, the members of oneofs, and only those messages and
 * enums that it names or that such fields lead to. What else a peer sends is kept by the runtime as unknown fields. What
 * was left out cannot be imported: bundling fails then.
 *
 * `folder`: of the generated code. `words`: every identifier of the code that uses it. Returns texts by path.
 */
export function usedOnly(folder, words) {
  const files = new Map();
  const types = new Map();
  for (const path of readdirSync(folder, { recursive: true })) {
    if (!path.endsWith("_pb.js")) continue;
    const text = readFileSync(join(folder, path), "utf8");
    const file = { ...read(text), path, text };
    files.set(path, file);
    file.name = /export const (file_\w+) =/.exec(text)[1];
    for (const type of typesOf(file)) types.set(type.name, type);
  }
  const wanted = new Set();
  const reach = (name) => {
    const type = types.get(name);
    if (type === undefined || wanted.has(type)) return;
    wanted.add(type);
    if (type.parent !== "") reach(type.parent);
    for (const field of type.proto.field ?? []) {
      if (keeps(type.proto, field) && field.typeName !== "") reach(field.typeName);
    }
  };
  // Members of a oneof stay: that one is set which is not supported is not the same as that none is.
  const keeps = (message, field) =>
    message.options?.mapEntry === true || isOneofMember(field) || words.has(protoCamelCase(field.name));
  for (const file of files.values()) {
    file.exports = [...file.text.matchAll(DESCRIPTION)].map(([, name, kind, path]) => ({ name, kind, path }));
    for (const { name, kind, path } of file.exports) {
      if (!words.has(name)) continue;
      if (kind === "service") {
        for (const { inputType, outputType } of file.proto.service[Number(path)].method) {
          reach(inputType);
          reach(outputType);
        }
      } else
        reach([...types.values()].find((t) => t.file === file && t.kind === kind && t.path === path).name);
    }
  }
  for (const type of wanted) {
    if (type.kind === "message")
      type.proto.field = type.proto.field.filter((field) => keeps(type.proto, field));
  }
  return new Map(
    [...files.values()].map((file) => [join(folder, file.path), prune(file, types, wanted, words)]),
  );
}

/** The file without types that are not wanted; those that are get new places in it. */
function prune(file, types, wanted, words) {
  const own = [...types.values()].filter((type) => type.file === file);
  const isWanted = (proto) => own.some((type) => type.proto === proto && wanted.has(type));
  const trim = (holder, messages) => {
    holder[messages] = holder[messages].filter(isWanted);
    holder.enumType = holder.enumType.filter(isWanted);
    for (const message of holder[messages]) trim(message, "nestedType");
  };
  trim(file.proto, "messageType");
  const services = file.exports.filter(({ kind, name }) => kind === "service" && words.has(name));
  if (services.length === 0) file.proto.service = [];
  const used = new Set(
    file.proto.service.flatMap(({ method }) => method.flatMap((m) => [m.inputType, m.outputType])),
  );
  for (const type of own) {
    if (wanted.has(type)) for (const field of type.proto.field ?? []) used.add(field.typeName);
  }
  const imported = new Set([...used].map((name) => types.get(name)?.file.name ?? WELL_KNOWN.get(name)));
  file.dependencies = file.dependencies.filter((name) => imported.has(name));
  return writeLean(file.text, file, (kind, path) => {
    if (kind === "service") return file.proto.service[Number(path)]?.name;
    const type = own.find((candidate) => candidate.kind === kind && candidate.path === path);
    return type !== undefined && wanted.has(type) ? type.name : undefined;
  });
}

/** Messages and enums of a file with their places in it, as generated code writes them. */
function* typesOf(file) {
  const walk = function* (parent, protos, enums, places) {
    for (const [i, proto] of protos.entries()) {
      const name = `${parent}.${proto.name}`;
      const path = [...places, i];
      yield {
        kind: "message",
        name,
        parent: places.length === 0 ? "" : parent,
        path: path.join(", "),
        proto,
        file,
      };
      yield* walk(name, proto.nestedType, proto.enumType, path);
    }
    for (const [i, proto] of enums.entries()) {
      const path = [...places, i].join(", ");
      yield {
        kind: "enum",
        name: `${parent}.${proto.name}`,
        parent: places.length === 0 ? "" : parent,
        path,
        proto,
        file,
      };
    }
  };
  const { package: name } = file.proto;
  yield* walk(name === "" ? "" : `.${name}`, file.proto.messageType, file.proto.enumType, []);
}

function isOneofMember(field) {
  return !field.proto3Optional && isFieldSet(field, FieldDescriptorProtoSchema.field.oneofIndex);
}

/** Names of the well-known types to the files that have them. */
const WELL_KNOWN = new Map(
  Object.entries(wkt).flatMap(([name, desc]) =>
    name.startsWith("file_")
      ? [...desc.messages, ...desc.enums].map(({ typeName }) => [`.${typeName}`, name])
      : [],
  ),
);

function read(text) {
  const [, base64, imports = ""] = FILE.exec(text);
  return {
    proto: fromBinary(FileDescriptorProtoSchema, Buffer.from(base64, "base64")),
    dependencies: imports.split(", ").filter((name) => name !== ""),
  };
}

function write(text, { proto, dependencies }) {
  slim(proto);
  const base64 = Buffer.from(toBinary(FileDescriptorProtoSchema, proto)).toString("base64");
  return text.replace(FILE, () => `fileDesc("${base64}", [${dependencies.join(", ")}])`);
}

/** Generated code of the runtime's own, of a well-known type. */
export function leanWellKnown(text) {
  const file = read(text);
  const types = [...typesOf(file)];
  return writeLean(text, file, (kind, path) => types.find((t) => t.kind === kind && t.path === path)?.name);
}

/** Generated code with descriptors that are built when they are used (packages/xds/src/lean). */
function writeLean(text, { proto, dependencies }, nameOf) {
  const begin = proto.package === "" ? 1 : proto.package.length + 2;
  const types = JSON.stringify(leanTypesOf(proto));
  const file = `leanFile("${proto.package}", [${dependencies.join(", ")}], ${types})`;
  const lean = `import { leanFile, leanMessage, leanEnum, leanService } from ${JSON.stringify(LEAN)};\n`;
  const kinds = { message: "leanMessage", enum: "leanEnum", service: "leanService" };
  const code = text
    .replace(RUNTIME_IMPORT, "")
    .replace(EXTENSION, "")
    .replace(FILE, () => file)
    .replace(DESCRIPTION, (line, name, kind, path) => {
      const type = nameOf(kind, path);
      if (type === undefined) return "";
      const own = kind === "service" ? type : type.slice(begin);
      return `export const ${name} = /*@__PURE__*/ ${kinds[kind]}(${/Desc\((\w+),/.exec(line)[1]}, "${own}");`;
    })
    .replace(ENUM, (_code, name, values) => {
      const members = [...values.matchAll(ENUM_VALUE)].flatMap(([, key, number]) => [
        `${key}: ${number}`,
        `"${number}": "${key}"`,
      ]);
      return `export const ${name} = { ${members.join(", ")} };`;
    });
  return lean + code;
}

function slim(file) {
  file.options = undefined;
  file.extension = [];
  file.publicDependency = [];
  file.weakDependency = [];
  file.messageType.forEach(slimMessage);
  file.enumType.forEach(slimEnum);
}

function slimMessage(message) {
  // The one message option that decoding depends on.
  message.options =
    message.options?.mapEntry === true ? create(MessageOptionsSchema, { mapEntry: true }) : undefined;
  message.extension = [];
  message.reservedName = [];
  message.reservedRange = [];
  for (const field of message.field) {
    const packed = field.options?.packed;
    field.options = packed === undefined ? undefined : create(FieldOptionsSchema, { packed });
  }
  for (const oneof of message.oneofDecl) oneof.options = undefined;
  message.nestedType.forEach(slimMessage);
  message.enumType.forEach(slimEnum);
}

function slimEnum(type) {
  type.options = undefined;
  type.reservedName = [];
  type.reservedRange = [];
  for (const value of type.value) value.options = undefined;
}
