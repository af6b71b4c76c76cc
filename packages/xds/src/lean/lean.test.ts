import {
  create,
  fromBinary,
  toBinary,
  toJson,
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescService,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { beforeAll, expect, test } from "vitest";

import { loadJsonRegistry } from "../json-registry.js";
import { RouteConfigurationSchema } from "../gen/envoy/config/route/v3/route_pb.js";
import { AggregatedDiscoveryService } from "../gen/envoy/service/discovery/v3/ads_pb.js";
import { leanEnum, leanFile, leanMessage, leanService } from "./descriptors.js";
import { leanTypesOf } from "./file.js";

/** The files of all messages that have a place in an Any, with what they import, and a service. */
const files = new Map<string, DescFile>();
const lean = new Map<DescFile, DescFile>();

beforeAll(async () => {
  const add = (file: DescFile): void => {
    if (file.proto.syntax !== "proto3" || files.has(file.proto.name)) return;
    files.set(file.proto.name, file);
    for (const dependency of file.dependencies) add(dependency);
  };
  for (const type of await loadJsonRegistry()) add(type.file);
  add(AggregatedDiscoveryService.file);
  for (const file of files.values())
    lean.set(file, leanFile(file.proto.package, [], leanTypesOf(file.proto)));
});

test("a lean descriptor says of every field what the runtime's own says", () => {
  let compared = 0;
  for (const message of allMessages()) {
    const own = leanOf(message);
    expect(own.typeName).toBe(message.typeName);
    expect(own.file.edition).toBe(message.file.edition);
    expect(own.fields.map(facts), message.typeName).toEqual(message.fields.map(facts));
    expect(own.members.map((member) => member.localName)).toEqual(
      message.members.map((member) => member.localName),
    );
    expect(new Map(own.oneofs.map(({ name, fields }) => [name, fields.length]))).toEqual(
      new Map(message.oneofs.map(({ name, fields }) => [name, fields.length])),
    );
    expect(Object.keys(own.field)).toEqual(Object.keys(message.field));
    compared += message.fields.length;
  }
  expect(compared).toBeGreaterThan(1000);
});

test("enums and services are the same, too", () => {
  const enums = [...files.values()].flatMap((file) => [
    ...file.enums,
    ...[...allMessages()].filter((message) => message.file === file).flatMap((m) => m.nestedEnums),
  ]);
  expect(enums.length).toBeGreaterThan(50);
  for (const type of enums) {
    const own = leanEnum(leanFileOf(type.file), nameInFile(type));
    expect(own.values.map(({ name, number }) => [name, number])).toEqual(
      type.values.map(({ name, number }) => [name, number]),
    );
    for (const { number } of type.values) expect(own.value[number]?.name).toBe(type.value[number]?.name);
  }
  const service: DescService = AggregatedDiscoveryService;
  const own = leanService(leanFileOf(service.file), service.name);
  expect(own.typeName).toBe(service.typeName);
  const shape = (each: DescService): unknown =>
    each.methods.map((method) => [
      method.name,
      method.localName,
      method.methodKind,
      method.input.typeName,
      method.output.typeName,
    ]);
  expect(shape(own)).toEqual(shape(service));
  expect(Object.keys(own.method)).toEqual(Object.keys(service.method));
});

test("messages are made, encoded and decoded as with the runtime's own", () => {
  const init = {
    name: "r",
    virtualHosts: [
      {
        name: "v",
        domains: ["a", "b"],
        routes: [
          {
            match: { pathSpecifier: { case: "prefix" as const, value: "/" }, caseSensitive: true },
            action: {
              case: "route" as const,
              value: {
                clusterSpecifier: { case: "cluster" as const, value: "c" },
                timeout: { seconds: 3n, nanos: 5 },
              },
            },
            metadata: { filterMetadata: { "tulle.dev": { rule: 1, names: ["x"] } } },
          },
        ],
      },
    ],
    validateClusters: false,
    maxDirectResponseBodySizeBytes: 7,
  };
  const schema = leanOf(RouteConfigurationSchema) as typeof RouteConfigurationSchema;
  const bytes = toBinary(schema, create(schema, init));
  expect(bytes).toEqual(toBinary(RouteConfigurationSchema, create(RouteConfigurationSchema, init)));
  expect(fromBinary(schema, bytes)).toEqual(fromBinary(RouteConfigurationSchema, bytes));
  expect(toJson(schema, fromBinary(schema, bytes))).toEqual(
    toJson(RouteConfigurationSchema, fromBinary(RouteConfigurationSchema, bytes)),
  );
});

test("what a lean descriptor cannot say is refused while bundling", () => {
  const proto2 = create(FileDescriptorProtoSchema, {
    name: "old.proto",
    messageType: [{ name: "M" }],
  });
  expect(() => leanTypesOf(proto2)).toThrow("old.proto: syntax proto2 has no lean descriptor");
  const file = leanFile("p", [], { messages: { M: "x 1 m.Missing", N: "x" }, enums: {}, services: {} });
  expect(() => leanMessage(file, "M").fields).toThrow("the bundle has no message p.Missing");
  expect(() => leanMessage(file, "N").fields).toThrow("not a field: x");
});

function* allMessages(): Iterable<DescMessage> {
  const walk = function* (message: DescMessage): Iterable<DescMessage> {
    yield message;
    for (const nested of message.nestedMessages) yield* walk(nested);
  };
  for (const file of files.values()) for (const message of file.messages) yield* walk(message);
}

function leanOf(message: DescMessage): DescMessage {
  return leanMessage(leanFileOf(message.file), nameInFile(message));
}

function leanFileOf(file: DescFile): DescFile {
  const found = lean.get(file);
  if (found === undefined) throw new Error(`no lean file of ${file.name}`);
  return found;
}

function nameInFile({ typeName, file }: DescMessage | DescEnum): string {
  return file.proto.package === "" ? typeName : typeName.slice(file.proto.package.length + 1);
}

/** All that the runtime looks at when it makes, encodes, decodes or prints a message. */
function facts(field: DescField): unknown {
  const { kind, name, localName, jsonName, number, fieldKind, presence, scalar, oneof, parent } = field;
  return {
    kind,
    name,
    localName,
    jsonName,
    number,
    fieldKind,
    presence,
    scalar,
    oneof: oneof?.name,
    parent: parent.typeName,
    message: field.message?.typeName,
    enum: field.enum?.typeName,
    listKind: field.fieldKind === "list" ? field.listKind : undefined,
    mapKind: field.fieldKind === "map" ? field.mapKind : undefined,
    mapKey: field.fieldKind === "map" ? field.mapKey : undefined,
    packed: field.fieldKind === "list" ? field.packed : undefined,
    delimitedEncoding: "delimitedEncoding" in field ? field.delimitedEncoding : undefined,
    longAsString: field.fieldKind === "scalar" && field.longAsString,
    utf8Validation: (field as { readonly utf8Validation?: boolean }).utf8Validation,
    default: "getDefaultValue" in field ? field.getDefaultValue?.() : undefined,
    text: field.toString(),
  };
}
