import type { Http1Handler, Http1Limits, Http1Parser, RequestHead } from "./contract.js";
import { completeLimits } from "./limits.js";
import { MessageParser } from "./message-parser.js";
import { RequestHeadReader } from "./request-head-reader.js";

/**
 * A parser of requests, for the side of a connection that clients write to. Strict by RFC 9112: what two peers could
 * read in two ways is refused (`error`), never repaired. Texts in a head are cut from one string of the whole head:
 * copy what must live longer than the exchange.
 */
export function createRequestParser(
  handler: Http1Handler<RequestHead>,
  limits?: Partial<Http1Limits>,
): Http1Parser {
  const complete = completeLimits(limits);
  return new MessageParser(handler, complete, new RequestHeadReader(complete));
}
