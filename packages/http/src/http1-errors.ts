import type { Http1Error } from "./contract.js";

/** Every way to refuse a message, made once: refusing hostile input allocates nothing. */
export const HTTP1_ERRORS = {
  requestLine: refuse("HTTP_BAD_REQUEST_LINE", 400, "the request line is not `method SP target SP HTTP/1.1`"),
  target: refuse(
    "HTTP_BAD_TARGET",
    400,
    "the request target does not fit the method, or holds characters that it may not",
  ),
  targetTooLong: refuse(
    "HTTP_TARGET_TOO_LONG",
    414,
    "the request line is longer than the limit for a whole head",
  ),
  version: refuse("HTTP_VERSION", 505, "only HTTP/1.0 and HTTP/1.1 are spoken here"),
  statusLine: refuse("HTTP_BAD_STATUS_LINE", 400, "the status line is not `HTTP/1.1 SP 100-599 [SP reason]`"),
  lineEnding: refuse(
    "HTTP_BAD_LINE_ENDING",
    400,
    "a line ends with a lone CR or LF, or holds a control character",
  ),
  fieldName: refuse(
    "HTTP_BAD_FIELD_NAME",
    400,
    "a field name is empty, holds a space or another character that it may not, or has no colon",
  ),
  fieldValue: refuse(
    "HTTP_BAD_FIELD_VALUE",
    400,
    "a field value holds a control character or a lone CR or LF",
  ),
  folding: refuse("HTTP_FOLDED_FIELD", 400, "a field is folded over several lines, which RFC 9112 forbids"),
  headTooLarge: refuse(
    "HTTP_HEAD_TOO_LARGE",
    431,
    "start line and fields together are larger than the limit",
  ),
  tooManyFields: refuse("HTTP_TOO_MANY_FIELDS", 431, "there are more fields than the limit"),
  contentLength: refuse(
    "HTTP_BAD_CONTENT_LENGTH",
    400,
    "Content-Length is not one plain decimal number below 2^53",
  ),
  duplicateLength: refuse("HTTP_DUPLICATE_CONTENT_LENGTH", 400, "Content-Length was sent more than once"),
  transferEncoding: refuse(
    "HTTP_BAD_TRANSFER_ENCODING",
    400,
    "Transfer-Encoding is malformed or was sent more than once; only `chunked` is accepted",
  ),
  unknownCoding: refuse(
    "HTTP_UNKNOWN_TRANSFER_CODING",
    501,
    "only the transfer coding `chunked` is implemented",
  ),
  codingInHttp10: refuse(
    "HTTP_TRANSFER_ENCODING_IN_1_0",
    400,
    "Transfer-Encoding does not exist in HTTP/1.0",
  ),
  lengthAndCoding: refuse(
    "HTTP_LENGTH_AND_CODING",
    400,
    "Content-Length and Transfer-Encoding exclude each other",
  ),
  connectBody: refuse("HTTP_CONNECT_WITH_BODY", 400, "a CONNECT request has no body"),
  hostMissing: refuse("HTTP_HOST_MISSING", 400, "an HTTP/1.1 request must carry a Host field"),
  hostDuplicate: refuse("HTTP_HOST_DUPLICATE", 400, "Host was sent more than once"),
  host: refuse("HTTP_BAD_HOST", 400, "Host is not `name[:port]`"),
  connection: refuse("HTTP_BAD_CONNECTION", 400, "Connection is not a list of option names"),
  expectation: refuse("HTTP_EXPECTATION", 417, "only the expectation `100-continue` is known"),
  chunkSize: refuse(
    "HTTP_BAD_CHUNK_SIZE",
    400,
    "a chunk size is not a plain hexadecimal number below 2^53 ended by CRLF",
  ),
  chunkExtension: refuse("HTTP_BAD_CHUNK_EXTENSION", 400, "a chunk extension is malformed"),
  chunkLineTooLong: refuse(
    "HTTP_CHUNK_LINE_TOO_LONG",
    400,
    "a chunk-size line is longer than the limit, or many of them outweigh the body",
  ),
  chunkEnd: refuse("HTTP_BAD_CHUNK_END", 400, "chunk data is not followed by CRLF"),
  unexpectedResponse: refuse("HTTP_UNEXPECTED_RESPONSE", 400, "the peer sent bytes that answer no request"),
  tooManyInterim: refuse("HTTP_TOO_MANY_INTERIM", 400, "more interim (1xx) responses than the limit"),
  incomplete: refuse("HTTP_INCOMPLETE", 400, "the connection ended in the middle of a message"),
} as const;

const AS_RESPONSE = new Map<Http1Error, Http1Error>(
  Object.values(HTTP1_ERRORS).map((error) => [error, refuse(error.code, 502, error.message)]),
);

/** The same refusal when a response was refused: the proxy's client gets 502 whatever was wrong. */
export function asResponseError(error: Http1Error): Http1Error {
  return AS_RESPONSE.get(error) ?? error;
}

function refuse(code: string, status: Http1Error["status"], message: string): Http1Error {
  return Object.freeze({ code, status, message });
}
