import type { Kept } from "./percent-decoding.js";

/** What a transcoder is made from (Envoy's `GrpcJsonTranscoder`). */
export interface TranscoderSettings {
  /** A `google.protobuf.FileDescriptorSet` with all imports. */
  readonly descriptorSet: Uint8Array;
  /** Full names of the services that are transcoded. */
  readonly services: readonly string[];
  /** Methods without `google.api.http` are called by `POST /package.Service/Method`. */
  readonly autoMapping: boolean;
  readonly ignoredQueryParameters: readonly string[];
  readonly ignoreUnknownQueryParameters: boolean;
  /** `+` in a query is a blank. */
  readonly queryPlusIsBlank: boolean;
  /** What follows the last colon of a path is a verb even where no template has it. */
  readonly matchesOtherVerbs: boolean;
  /** A field that path or query say and the body says otherwise is refused; else the body's counts. */
  readonly refusesCollisions: boolean;
  /** What stays percent-encoded in variables of several segments. */
  readonly kept: Kept;
  readonly print: PrintSettings;
}

/** How answers are written. */
export interface PrintSettings {
  readonly whitespace: boolean;
  /** Fields with their default values, too. */
  readonly defaults: boolean;
  readonly enumsAsNumbers: boolean;
  readonly protoFieldNames: boolean;
  readonly stream: StreamFormat;
}

/** How a stream's messages are told apart: a JSON array, or a line each. */
export type StreamFormat = "array" | "lines";

/** Finds which call of gRPC an HTTP request is. */
export interface Transcoder {
  find(method: string, target: string): FoundCall;
}

export type FoundCall =
  | { readonly kind: "call"; readonly call: JsonCall }
  /** No template fits. */
  | { readonly kind: "unknown-method" }
  | { readonly kind: "unknown-parameter"; readonly name: string }
  /** Path or query have a value that the field cannot have. */
  | { readonly kind: "invalid"; readonly message: string };

/** Something that cannot be translated, and why. */
export interface Refused {
  readonly refused: string;
}

/** One call. */
export interface JsonCall {
  /** `/library.v1.Library/GetBook` */
  readonly path: string;
  /** How its answers are told apart; undefined = there is one. */
  readonly stream: StreamFormat | undefined;
  /** What the call's messages are (without gRPC's prefix), by what path, query and body say. */
  encodeRequest(
    body: Uint8Array,
    contentType: string,
  ): { readonly messages: readonly Uint8Array[] } | Refused;
  /** One message of the answer. */
  decodeResponse(message: Uint8Array): JsonContent | Refused;
  /** The body of an answer that says why there is none: `google.rpc.Status`. `details`: of `grpc-status-details-bin`. */
  describeError(code: number, message: string, details: string | undefined): string;
}

export interface JsonContent {
  readonly type: string;
  readonly bytes: Uint8Array;
}
