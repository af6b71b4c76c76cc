import type { DescriptorProto, EnumDescriptorProto, FileDescriptorProto } from "@bufbuild/protobuf/wkt";

import type { LeanTypes } from "./descriptors.js";
import { messageText, methodText } from "./write-text.js";

/** What a .proto file declares, for `leanFile`. Throws on what a lean descriptor cannot say: only proto3 has one. */
export function leanTypesOf(file: FileDescriptorProto): LeanTypes {
  const isEmpty = file.messageType.length + file.enumType.length + file.service.length === 0;
  if (file.syntax !== "proto3" && !isEmpty)
    throw new Error(`${file.name}: syntax ${file.syntax || "proto2"} has no lean descriptor`);
  const messages: Record<string, string> = {};
  const enums: Record<string, Readonly<Record<string, number>>> = {};
  const addEnum = (parent: string, type: EnumDescriptorProto): void => {
    enums[parent + type.name] = Object.fromEntries(type.value.map(({ name, number }) => [name, number]));
  };
  const addMessage = (parent: string, message: DescriptorProto): void => {
    if (message.options?.mapEntry === true) return;
    const name = parent + message.name;
    messages[name] = messageText(message, file.package);
    for (const nested of message.nestedType) addMessage(`${name}.`, nested);
    for (const nested of message.enumType) addEnum(`${name}.`, nested);
  };
  for (const message of file.messageType) addMessage("", message);
  for (const type of file.enumType) addEnum("", type);
  const services = Object.fromEntries(
    file.service.map(({ name, method }) => [name, method.map((each) => methodText(each, file.package))]),
  );
  return { messages, enums, services };
}
