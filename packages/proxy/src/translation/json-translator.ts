import { STATUS_CODES } from "node:http";

import type { JsonTranslation } from "@tulle/engine";
import {
  encodeGrpcMessage,
  getHeader,
  GrpcFrameReader,
  GrpcStatus,
  httpStatusOfGrpc,
  NO_FIELDS,
  readGrpcMessage,
  readGrpcStatus,
  type HeaderList,
} from "@tulle/http";

import type { DownstreamStream } from "../stream/contract.js";
import { CallTranslator, type TranslatedRequest } from "./call-translator.js";
import { readGrpcAnswer } from "./grpc-answer.js";

const JSON_TYPE = "application/json";
/** What stands before the first message of a stream, between two, and at the end. */
const PUNCTUATION = {
  array: { type: JSON_TYPE, open: "[", separator: ",", close: "]" },
  lines: { type: "application/x-ndjson", open: "", separator: "", close: "" },
} as const;
/** Fields that say how a call ended: the status and the body have told it. */
const END_FIELDS: ReadonlySet<string> = new Set(["grpc-status", "grpc-message", "grpc-status-details-bin"]);

/**
 * A call by HTTP with JSON. The request's body is translated when it is whole. The answer of a unary call waits for the
 * end, which has the status; that of a stream goes on message by message, and one that fails in the middle is cut, for its
 * status is told already.
 */
export class JsonTranslator extends CallTranslator {
  readonly takesWholeBody = true;
  readonly #translation: JsonTranslation;
  readonly #body: Buffer[] = [];
  #bodyBytes = 0;
  #refused = false;
  /** Of the answer. */
  readonly #frames: GrpcFrameReader;
  #headers: HeaderList = NO_FIELDS;
  #end: HeaderList = NO_FIELDS;
  #foreign = false;
  /** The answer of a unary call. */
  #answer: { readonly type: string; readonly bytes: Uint8Array } | undefined;
  /** The head is written: of a stream, which has messages. */
  #streaming = false;
  /** Of a stream whose messages are no JSON. */
  #isRaw = false;
  /** The answer cannot be translated. */
  #failed = false;
  #writable = true;

  constructor(translation: JsonTranslation, client: DownstreamStream, request: TranslatedRequest) {
    super(client, request);
    this.#translation = translation;
    this.#frames = new GrpcFrameReader(translation.maxResponseBytes);
  }

  onRequestBody(chunk: Buffer, start: number, end: number): void {
    if (this.#refused) return;
    this.#bodyBytes += end - start;
    const { maxRequestBytes } = this.#translation;
    if (this.#bodyBytes <= maxRequestBytes) {
      this.#body.push(Buffer.from(chunk.subarray(start, end)));
      return;
    }
    this.#body.length = 0;
    const message = `the request's body is longer than ${maxRequestBytes} bytes, which is as much as is translated to gRPC`;
    this.#refuse(413, GrpcStatus.RESOURCE_EXHAUSTED, message, "request_payload_too_large");
  }

  onRequestEnd(): void {
    if (this.#refused) return;
    const { call, contentType } = this.#translation;
    const made = call.encodeRequest(Buffer.concat(this.#body), contentType);
    this.#body.length = 0;
    if ("refused" in made) {
      this.#refuse(400, GrpcStatus.INVALID_ARGUMENT, made.refused, "grpc_json_transcode_failure");
      return;
    }
    for (const message of made.messages) {
      const framed = encodeGrpcMessage(message);
      this.request.onTranslatedBody(framed, 0, framed.length);
    }
    this.request.onTranslatedEnd(NO_FIELDS);
  }

  #refuse(status: number, grpcStatus: number, message: string, details: string): void {
    this.#refused = true;
    this.request.onUntranslatable({ status, grpcStatus, message, details });
  }

  writeHead(status: number, _reason: string, headers: HeaderList): void {
    const answer = readGrpcAnswer(status, headers);
    this.#headers = answer.headers;
    this.#end = answer.end;
    this.#foreign = answer.foreign;
    if (answer.foreign) this.localStatus ??= status >= 400 ? status : 502;
  }

  writeBody(chunk: Buffer, start: number, end: number): boolean {
    if (this.#foreign || this.#failed) return true;
    this.#writable = true;
    this.#frames.execute(chunk, start, end, (message) => this.#onMessage(message));
    const { error } = this.#frames;
    if (error !== undefined) this.#fail(`the service's answer cannot be translated: ${error.message}`);
    return this.#failed || this.#writable;
  }

  writeEnd(trailers: HeaderList): void {
    const end = this.#foreign ? this.#end : [...this.#end, ...trailers];
    const status = readGrpcStatus(end);
    if (status !== GrpcStatus.OK) this.#endWithError(status < 0 ? GrpcStatus.UNKNOWN : status, end);
    else if (!this.#frames.complete && !this.#foreign) this.#endWithError(GrpcStatus.INTERNAL, NO_FIELDS);
    else if (this.#translation.call.stream !== undefined) this.#endStream(end);
    else this.#writeWhole(200, this.#answer ?? { type: JSON_TYPE, bytes: new Uint8Array() }, end);
  }

  #onMessage(message: Buffer): void {
    if (this.#failed) return;
    const { call } = this.#translation;
    const content = call.decodeResponse(message);
    if ("refused" in content) this.#fail(content.refused);
    else if (call.stream === undefined) this.#answer ??= content;
    else this.#writeMessage(content.type, content.bytes);
  }

  #writeMessage(type: string, bytes: Uint8Array): void {
    const { open, separator, type: own } = this.#punctuation;
    // What is no JSON by itself is not made some.
    const isJson = type === JSON_TYPE;
    const lead = !isJson ? "" : this.#streaming ? separator : open;
    if (!this.#streaming) this.#begin(isJson ? own : type);
    const tail = isJson && this.#translation.call.stream === "lines" ? "\n" : "";
    this.#write(Buffer.concat([Buffer.from(lead), bytes, Buffer.from(tail)]));
  }

  #endStream(end: HeaderList): void {
    const { open, close, type } = this.#punctuation;
    const isEmpty = !this.#streaming;
    if (isEmpty) this.#begin(type);
    const text = Buffer.from(isEmpty ? open + close : this.#isRaw ? "" : close);
    if (text.length > 0) this.#write(text);
    this.client.writeEnd(withoutEnd(end));
  }

  get #punctuation(): (typeof PUNCTUATION)["array" | "lines"] {
    return PUNCTUATION[this.#translation.call.stream ?? "array"];
  }

  #begin(type: string): void {
    this.#streaming = true;
    this.#isRaw = type !== this.#punctuation.type;
    this.client.writeHead(200, "OK", [...this.#headers, "content-type", type], true, -1);
  }

  #write(bytes: Buffer): void {
    this.#writable = this.client.writeBody(bytes, 0, bytes.length) && this.#writable;
  }

  /** The answer cannot be translated. What still comes of it is for nobody. */
  #fail(message: string): void {
    if (this.#failed) return;
    this.#failed = true;
    this.localStatus = 500;
    this.request.onUntranslatable({
      status: 500,
      grpcStatus: GrpcStatus.INTERNAL,
      message,
      details: "grpc_json_transcode_failure",
    });
  }

  #endWithError(code: number, end: HeaderList): void {
    if (this.#streaming) {
      this.client.reset();
      return;
    }
    const { call, describesErrors } = this.#translation;
    const status = this.localStatus ?? httpStatusOfGrpc(code);
    const details = getHeader(end, "grpc-status-details-bin");
    const text = describesErrors ? call.describeError(code, readGrpcMessage(end), details) : "";
    this.#writeWhole(status, { type: JSON_TYPE, bytes: Buffer.from(text) }, end);
  }

  /** Head, body and end at once. Trailers are fields of the head, where clients of HTTP find them. */
  #writeWhole(
    status: number,
    { type, bytes }: { readonly type: string; readonly bytes: Uint8Array },
    end: HeaderList,
  ): void {
    const headers = [...this.#headers, ...withoutEnd(end), "content-type", type];
    headers.push("content-length", String(bytes.length));
    this.client.writeHead(status, STATUS_CODES[status] ?? "", headers, true, bytes.length);
    if (bytes.length > 0) this.client.writeBody(Buffer.from(bytes), 0, bytes.length);
    this.client.writeEnd(NO_FIELDS);
  }
}

function withoutEnd(fields: HeaderList): HeaderList {
  return fields.filter((_field, index) => !END_FIELDS.has(fields[index - (index % 2)]!.toLowerCase()));
}
