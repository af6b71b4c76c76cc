import type { Http1Handler, Http1Limits, Http1ResponseParser, ResponseHead } from "./contract.js";
import { completeLimits } from "./limits.js";
import { MessageParser } from "./message-parser.js";
import { ResponseHeadReader } from "./response-head-reader.js";

/**
 * A parser of responses, for the side of a connection that servers write to. Call `expect(method)` for each request
 * sent; bytes without one are refused. Every refusal has status 502.
 */
export function createResponseParser(
  handler: Http1Handler<ResponseHead>,
  limits?: Partial<Http1Limits>,
): Http1ResponseParser {
  return new ResponseParser(handler, completeLimits(limits));
}

class ResponseParser extends MessageParser<ResponseHead> implements Http1ResponseParser {
  readonly #reader: ResponseHeadReader;

  constructor(handler: Http1Handler<ResponseHead>, limits: Http1Limits) {
    const reader = new ResponseHeadReader(limits);
    super(handler, limits, reader);
    this.#reader = reader;
  }

  expect(method: string): void {
    this.#reader.expect(method);
  }
}
