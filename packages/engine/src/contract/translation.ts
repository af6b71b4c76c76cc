/** How a call that does not come as gRPC becomes gRPC, and its answer what the client takes. */
export type CallTranslation = GrpcWebTranslation;

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
