export type * from "./contract.js";
export { type Authority, canonicalAuthority, parseAuthority } from "./authority.js";
export {
  writeChunk,
  writeChunkEnd,
  writeChunkStart,
  writeLastChunk,
  writeRequestHead,
  writeResponseHead,
} from "./encode.js";
export { lowerName } from "./field-names.js";
export { GrowingBuffer, type GrowingBufferOptions } from "./growing-buffer.js";
export {
  getHeader,
  hasHeader,
  hasToken,
  joinHeader,
  listHasToken,
  NO_FIELDS,
  splitList,
  trimSpace,
} from "./headers.js";
export { connectionOptions, isForbiddenInTrailers, isHopByHop } from "./hop-by-hop.js";
export { DEFAULT_HTTP1_LIMITS } from "./limits.js";
export { createRequestParser } from "./request-parser.js";
export { normalizePath, type PathNormalization } from "./path-normalization.js";
export { parseRequestTarget, type RequestTarget } from "./request-target.js";
export { createResponseParser } from "./response-parser.js";
export { isCarriedUpgrade } from "./upgrade.js";
export type * from "./http2/contract.js";
export { Http2ErrorCode, http2ErrorName } from "./http2/error-codes.js";
export { PREFACE as HTTP2_PREFACE } from "./http2/frame.js";
export { DEFAULT_HTTP2_LIMITS } from "./http2/limits.js";
export { IncomingCredit } from "./http2/incoming-credit.js";
export { OutgoingBody } from "./http2/outgoing-body.js";
export { StreamTable } from "./http2/stream-table.js";
export { createClientSession, createServerSession } from "./http2/session.js";
export { HEADER_CASE_FIELD, encodeHeaderCase, restoreHeaderCase } from "./http2/header-case.js";
export {
  type GrpcFrameError,
  GrpcFrameReader,
  GrpcMessageCounter,
  encodeGrpcMessage,
} from "./grpc-frames.js";
export * from "./grpc.js";
