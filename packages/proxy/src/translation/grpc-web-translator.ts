import type { GrpcWebTranslation } from "@tulle/engine";
import { Base64Decoder, encodeGrpcWebTrailers, GrpcStatus, NO_FIELDS, type HeaderList } from "@tulle/http";

import type { DownstreamStream } from "../stream/contract.js";
import { CallTranslator, type TranslatedRequest, type Untranslatable } from "./call-translator.js";
import { readGrpcAnswer } from "./grpc-answer.js";

const NOT_BASE64: Untranslatable = {
  grpcStatus: GrpcStatus.INVALID_ARGUMENT,
  status: 400,
  message: "the body of an application/grpc-web-text request is not base64",
  details: "grpc_web_bad_base64",
};

/**
 * A call of gRPC-Web. Messages are framed as in gRPC, so bodies go by as they are, or in base64; the trailers become the
 * last frame of the answer's body. There is always one: scripts see no trailers, and of other sites' headers only those
 * that CORS exposes.
 */
export class GrpcWebTranslator extends CallTranslator {
  readonly takesWholeBody = false;
  readonly #responseText: boolean;
  readonly #responseType: string;
  readonly #base64: Base64Decoder | undefined;
  #end: HeaderList = NO_FIELDS;
  #foreign = false;

  constructor(translation: GrpcWebTranslation, client: DownstreamStream, request: TranslatedRequest) {
    super(client, request);
    this.#responseText = translation.responseText;
    this.#responseType = translation.responseType;
    this.#base64 = translation.requestText ? new Base64Decoder() : undefined;
  }

  onRequestBody(chunk: Buffer, start: number, end: number): void {
    if (this.#base64 === undefined) {
      this.request.onTranslatedBody(chunk, start, end);
      return;
    }
    if (this.#base64.failed) return;
    const bytes = this.#base64.decode(chunk, start, end);
    if (this.#base64.failed) this.request.onUntranslatable(NOT_BASE64);
    else if (bytes.length > 0) this.request.onTranslatedBody(bytes, 0, bytes.length);
  }

  onRequestEnd(trailers: HeaderList): void {
    if (this.#base64?.failed === true) return;
    if (this.#base64?.complete === false) this.request.onUntranslatable(NOT_BASE64);
    else this.request.onTranslatedEnd(trailers);
  }

  writeHead(status: number, _reason: string, headers: HeaderList): void {
    const answer = readGrpcAnswer(status, headers);
    this.#end = answer.end;
    this.#foreign = answer.foreign;
    answer.headers.push("content-type", this.#responseType);
    this.client.writeHead(200, "OK", answer.headers, true, -1);
  }

  writeBody(chunk: Buffer, start: number, end: number): boolean {
    return this.#foreign || this.#write(chunk, start, end);
  }

  writeEnd(trailers: HeaderList): void {
    const frame = encodeGrpcWebTrailers(this.#foreign ? this.#end : [...this.#end, ...trailers]);
    this.#write(frame, 0, frame.length);
    this.client.writeEnd(NO_FIELDS);
  }

  /** Pieces are padded each, so that nothing of a message waits for the next. */
  #write(chunk: Buffer, start: number, end: number): boolean {
    if (!this.#responseText) return this.client.writeBody(chunk, start, end);
    const text = Buffer.from(chunk.toString("base64", start, end), "latin1");
    return this.client.writeBody(text, 0, text.length);
  }
}
