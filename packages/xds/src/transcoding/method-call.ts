import {
  equals,
  fromBinary,
  fromJson,
  mergeFromBinary,
  mergeFromJsonString,
  toBinary,
  toJson,
  type DescField,
  type DescMessage,
  type JsonValue,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { base64Encode, getTextEncoding } from "@bufbuild/protobuf/wire";

import { messageOf, valueAt, type BoundField } from "./bound-fields.js";
import type { JsonCall, JsonContent, Refused, StreamFormat, TranscoderSettings } from "./contract.js";
import type { HttpBinding } from "./http-rules.js";
import { statusJson } from "./rpc-status.js";

const HTTP_BODY = "google.api.HttpBody";
const JSON_TYPE = "application/json";

/** A request that fits a binding. What it says in path and query is checked. */
export class MethodCall implements JsonCall {
  readonly path: string;
  readonly stream: StreamFormat | undefined;
  readonly #binding: HttpBinding;
  readonly #bound: readonly BoundField[];
  readonly #settings: TranscoderSettings;
  readonly #registry: Registry;

  constructor(
    binding: HttpBinding,
    bound: readonly BoundField[],
    settings: TranscoderSettings,
    registry: Registry,
  ) {
    const { method } = binding;
    this.path = `/${method.parent.typeName}/${method.name}`;
    const streams = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
    this.stream = streams ? settings.print.stream : undefined;
    this.#binding = binding;
    this.#bound = bound;
    this.#settings = settings;
    this.#registry = registry;
  }

  encodeRequest(
    body: Uint8Array,
    contentType: string,
  ): { readonly messages: readonly Uint8Array[] } | Refused {
    const { input, methodKind } = this.#binding.method;
    try {
      const isStream = methodKind === "client_streaming" || methodKind === "bidi_streaming";
      const bodies = isStream ? elementsOf(body) : [body];
      if (typeof bodies === "string") return { refused: bodies };
      const messages: Uint8Array[] = [];
      for (const [index, one] of bodies.entries()) {
        // What path and query say is said once.
        const made = this.#requestOf(one, contentType, index === 0 ? this.#bound : []);
        if (typeof made === "string") return { refused: made };
        messages.push(toBinary(input, made));
      }
      return { messages };
    } catch (thrown) {
      return { refused: `the request is no ${input.typeName}: ${textOf(thrown)}` };
    }
  }

  decodeResponse(bytes: Uint8Array): JsonContent | Refused {
    const { method, responseBody } = this.#binding;
    const { output } = method;
    try {
      const message = fromBinary(output, bytes);
      const raw = rawAnswer(output, message, responseBody);
      if (raw !== undefined) return raw;
      const json =
        responseBody === undefined
          ? this.#print(output, message)
          : this.#printField(output, message, responseBody);
      return { type: JSON_TYPE, bytes: this.#text(json) };
    } catch (thrown) {
      return { refused: `the answer is no ${output.typeName}: ${textOf(thrown)}` };
    }
  }

  describeError(code: number, message: string, details: string | undefined): string {
    return this.#stringify(statusJson(code, message, details, this.#registry));
  }

  /** The message that path, query and body make together. A text says why there is none. */
  #requestOf(body: Uint8Array, contentType: string, bound: readonly BoundField[]): Message | string {
    const { input } = this.#binding.method;
    const registry = this.#registry;
    const message = messageOf(input, bound, registry);
    const said = this.#bodyOf(body, contentType);
    if (said === undefined) return message;
    if (this.#settings.refusesCollisions) {
      for (const { way } of bound) {
        const [ours, theirs] = [valueAt(input, message, way), valueAt(input, said, way)];
        if (theirs !== undefined && !isSame(ours, theirs))
          return `the body says otherwise of ${way.map(({ name }) => name).join(".")} than the path or the query`;
      }
    }
    // What is said twice and may be there once is the body's.
    return mergeFromBinary(input, message, toBinary(input, said));
  }

  /** What the body says of the message; undefined without one. */
  #bodyOf(bytes: Uint8Array, contentType: string): Message | undefined {
    const { body, method } = this.#binding;
    const { input } = method;
    const registry = this.#registry;
    if (body === undefined || bytes.length === 0) return undefined;
    if (body === "*" && input.typeName === HTTP_BODY)
      return fromJson(input, httpBody(bytes, contentType), { registry });
    const message = messageOf(input, [], registry);
    if (body !== "*" && body.fieldKind === "message" && body.message.typeName === HTTP_BODY)
      return fromJson(input, { [body.jsonName]: httpBody(bytes, contentType) }, { registry });
    const text = getTextEncoding().decodeUtf8(bytes);
    if (body === "*") return mergeFromJsonString(input, message, text, { registry });
    // It must be JSON by itself before it stands within other JSON.
    JSON.parse(text);
    return mergeFromJsonString(input, message, `{${JSON.stringify(body.jsonName)}:${text}}`, { registry });
  }

  #printField(output: DescMessage, message: Message, field: DescField): JsonValue {
    const { print } = this.#settings;
    const name = print.protoFieldNames ? field.name : field.jsonName;
    const printed = this.#print(output, message) as Record<string, JsonValue>;
    if (printed[name] !== undefined) return printed[name];
    // A field with its default value is the answer all the same.
    const whole = this.#print(output, message, true) as Record<string, JsonValue>;
    return whole[name] ?? null;
  }

  #print(desc: DescMessage, message: Message, defaults = this.#settings.print.defaults): JsonValue {
    const { enumsAsNumbers, protoFieldNames } = this.#settings.print;
    return toJson(desc, message, {
      registry: this.#registry,
      alwaysEmitImplicit: defaults,
      enumAsInteger: enumsAsNumbers,
      useProtoFieldName: protoFieldNames,
    });
  }

  #text(json: JsonValue): Uint8Array {
    return getTextEncoding().encodeUtf8(this.#stringify(json));
  }

  #stringify(json: JsonValue): string {
    // A line has no line breaks.
    const pretty = this.#settings.print.whitespace && (this.stream ?? "array") === "array";
    return JSON.stringify(json, null, pretty ? 1 : 0);
  }
}

/** The elements of a JSON array, of which each is a message. */
function elementsOf(body: Uint8Array): readonly Uint8Array[] | string {
  if (body.length === 0) return [];
  const encoding = getTextEncoding();
  const parsed: unknown = JSON.parse(encoding.decodeUtf8(body));
  if (!Array.isArray(parsed)) return "the method takes a stream: the body must be a JSON array of messages";
  return parsed.map((element) => encoding.encodeUtf8(JSON.stringify(element)));
}

function httpBody(bytes: Uint8Array, contentType: string): Record<string, JsonValue> {
  return { contentType, data: base64Encode(bytes) };
}

/** The bytes of a `google.api.HttpBody`, which go to the client as they are. */
function rawAnswer(
  output: DescMessage,
  message: Message,
  field: DescField | undefined,
): JsonContent | undefined {
  const desc = field === undefined ? output : field.fieldKind === "message" ? field.message : undefined;
  if (desc?.typeName !== HTTP_BODY) return undefined;
  const valueOf = (name: string): unknown => {
    const own = desc.fields.find((each) => each.name === name);
    return own && valueAt(output, message, field === undefined ? [own] : [field, own]);
  };
  const [type, bytes] = [valueOf("content_type"), valueOf("data")];
  return {
    type: typeof type === "string" ? type : "application/octet-stream",
    bytes: bytes instanceof Uint8Array ? bytes : new Uint8Array(),
  };
}

function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (isReflected(one) && isReflected(other))
    return one.desc === other.desc && equals(one.desc, one.message, other.message);
  if (isList(one) && isList(other)) {
    const [ours, theirs] = [[...one], [...other]];
    return ours.length === theirs.length && ours.every((value, index) => value === theirs[index]);
  }
  return (
    one instanceof Uint8Array && other instanceof Uint8Array && base64Encode(one) === base64Encode(other)
  );
}

function isReflected(value: unknown): value is { readonly desc: DescMessage; readonly message: Message } {
  return typeof value === "object" && value !== null && "desc" in value && "message" in value;
}

function isList(value: unknown): value is Iterable<unknown> {
  return (
    typeof value === "object" && value !== null && Symbol.iterator in value && !(value instanceof Uint8Array)
  );
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
