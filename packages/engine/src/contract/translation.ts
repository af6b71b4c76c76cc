import type { JsonCall } from "@tulle/xds/transcoding";

/** How a call that does not come as gRPC becomes gRPC, and its answer what the client takes. */
export type CallTranslation = GrpcWebTranslation | JsonTranslation;

/** The call is gRPC-Web (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md). */
export interface GrpcWebTranslation {
  readonly kind: "grpc-web";
  /** The request's body is base64. */
  readonly requestText: boolean;
  /** The answer's body is to be base64. */
  readonly responseText: boolean;
  /** The answer's content type. */
  readonly responseType: string;
}

/** The call is HTTP with JSON, as `google.api.http` maps it. */
export interface JsonTranslation {
  readonly kind: "json";
  readonly call: JsonCall;
  /** Of the request's body. */
  readonly contentType: string;
  /** Longest body of a request; more is refused with 413. */
  readonly maxRequestBytes: number;
  /** Longest answer, of a stream longest message; more is answered with 500. */
  readonly maxResponseBytes: number;
  /** Errors have a body that tells of them. */
  readonly describesErrors: boolean;
}
