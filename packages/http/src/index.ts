export type * from "./contract.js";
export { type Authority, parseAuthority } from "./authority.js";
export { writeRequestHead, writeResponseHead } from "./encode.js";
export { lowerName } from "./field-names.js";
export { GrowingBuffer, type GrowingBufferOptions } from "./growing-buffer.js";
export { getHeader, hasToken, joinHeader, NO_FIELDS } from "./headers.js";
export { connectionOptions, isHopByHop } from "./hop-by-hop.js";
export { DEFAULT_HTTP1_LIMITS } from "./limits.js";
export { NameMemo } from "./name-memo.js";
export { createRequestParser } from "./request-parser.js";
export { normalizePath, type PathNormalization } from "./path-normalization.js";
export { parseRequestTarget, type RequestTarget } from "./request-target.js";
export { createResponseParser } from "./response-parser.js";
export type * from "./http2/contract.js";
export { Http2ErrorCode, http2ErrorName } from "./http2/error-codes.js";
export { PREFACE as HTTP2_PREFACE } from "./http2/frame.js";
export { DEFAULT_HTTP2_LIMITS } from "./http2/limits.js";
export { IncomingCredit } from "./http2/incoming-credit.js";
export { OutgoingBody } from "./http2/outgoing-body.js";
export { StreamTable } from "./http2/stream-table.js";
export { createClientSession, createServerSession } from "./http2/session.js";
export { HEADER_CASE_FIELD, encodeHeaderCase, restoreHeaderCase } from "./http2/header-case.js";
export { GrpcFrameReader, GrpcMessageCounter, encodeGrpcMessage } from "./grpc-frames.js";
export * from "./grpc.js";
export {
  readSocks5Greeting,
  readSocks5Request,
  SOCKS5_VERSION,
  Socks5Reply,
  socks5Greeting,
  socks5Reply,
  type Socks5Read,
  type Socks5Refusal,
} from "./socks5.js";
export {
  Base64Decoder,
  encodeGrpcWebTrailers,
  grpcWebContentType,
  readGrpcWebContentType,
  type GrpcWebContent,
} from "./grpc-web.js";
