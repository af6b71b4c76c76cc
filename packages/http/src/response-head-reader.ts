import { MeshError } from "@tulle/base";
import { FIELD } from "./characters.js";
import type { Framing, Http1Error, Http1Limits, ResponseHead } from "./contract.js";
import { FieldSection } from "./field-section.js";
import { HTTP1_ERRORS, asResponseError } from "./http1-errors.js";
import { latin1Slice } from "./latin1.js";
import { type HeadReader, Follow } from "./message-parser.js";
import { readMinorVersion } from "./version.js";

const SP = 0x20;
const CR = 0x0d;
const LF = 0x0a;

/** Reads response heads (RFC 9112 section 4) and decides framing (section 6.3) by the request they answer. */
export class ResponseHeadReader implements HeadReader<ResponseHead> {
  readonly skipsEmptyLine = false;
  readonly fields: FieldSection;
  follow: number = Follow.MESSAGE;
  error: Http1Error | undefined = undefined;
  readonly #maxInterim: number;
  /** Method of the request that waits for its response; "" when none does. */
  #method = "";
  #interim = 0;

  constructor(limits: Http1Limits) {
    this.fields = new FieldSection(limits.maxHeaderCount);
    this.#maxInterim = limits.maxInterimResponses;
  }

  expect(method: string): void {
    if (this.#method !== "" && method !== "") {
      throw new MeshError(
        "internal",
        "HTTP_RESPONSE_STILL_EXPECTED",
        "expect() was called again before the head of the last response arrived",
      );
    }
    this.#method = method;
    this.#interim = 0;
  }

  mayBegin(): Http1Error | undefined {
    return this.#method === "" ? HTTP1_ERRORS.unexpectedResponse : undefined;
  }

  refusal(error: Http1Error): Http1Error {
    return asResponseError(error === HTTP1_ERRORS.targetTooLong ? HTTP1_ERRORS.headTooLarge : error);
  }

  read(bytes: Buffer, start: number, end: number): ResponseHead | undefined {
    const text = latin1Slice(bytes, start, end);
    const minorVersion = readMinorVersion(bytes, start);
    if (minorVersion < 0) {
      return this.#refuse(minorVersion === -1 ? HTTP1_ERRORS.statusLine : HTTP1_ERRORS.version);
    }
    const status = readStatus(bytes, start + 8);
    if (status < 0) return this.#refuse(HTTP1_ERRORS.statusLine);

    let at = start + 12;
    let reasonStart = at;
    if (bytes[at] === SP) {
      reasonStart = ++at;
      while (FIELD[bytes[at]!] === 1) at++;
    }
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return this.#refuse(HTTP1_ERRORS.statusLine);
    const isOk =
      status === 200 && at - reasonStart === 2 && bytes[reasonStart] === 0x4f && bytes[at - 1] === 0x4b;
    const reason = isOk ? "OK" : text.substring(reasonStart - start, at - start);

    const { fields } = this;
    const headers = fields.read(bytes, at + 2, end, text, start);
    if (headers === undefined) return this.#refuse(fields.error ?? HTTP1_ERRORS.fieldValue);
    const error = this.#checkFraming(status, minorVersion);
    if (error !== undefined) return this.#refuse(error);

    const framing = this.#framing(status);
    this.follow = this.#whatFollows(status);
    if (this.follow !== Follow.INTERIM) this.#method = "";
    return {
      status,
      reason,
      minorVersion: minorVersion === 0 ? 0 : 1,
      headers,
      framing,
      contentLength: framing === "none" ? 0 : framing === "length" ? fields.contentLength : -1,
      keepAlive: !fields.close && framing !== "until-close" && (minorVersion === 1 || fields.keepAlive),
    };
  }

  #checkFraming(status: number, minorVersion: number): Http1Error | undefined {
    const { fields } = this;
    if (status < 200 && status !== 101 && ++this.#interim > this.#maxInterim)
      return HTTP1_ERRORS.tooManyInterim;
    if (!fields.chunked) return undefined;
    if (fields.contentLength >= 0) return HTTP1_ERRORS.lengthAndCoding;
    return minorVersion === 0 ? HTTP1_ERRORS.codingInHttp10 : undefined;
  }

  #framing(status: number): Framing {
    const { fields } = this;
    if (status < 200 || status === 204 || status === 304 || this.#method === "HEAD") return "none";
    if (this.#method === "CONNECT" && status < 300) return "none";
    if (fields.chunked) return "chunked";
    return fields.contentLength >= 0 ? "length" : "until-close";
  }

  #whatFollows(status: number): number {
    if (status === 101 || (this.#method === "CONNECT" && status >= 200 && status < 300)) return Follow.TUNNEL;
    return status < 200 ? Follow.INTERIM : Follow.MESSAGE;
  }

  #refuse(error: Http1Error): undefined {
    this.error = error;
    return undefined;
  }
}

/** Status in ` 200` at `bytes[at]`: 100 to 599, or -1. */
function readStatus(bytes: Buffer, at: number): number {
  if (bytes[at] !== SP) return -1;
  const hundreds = bytes[at + 1]! - 0x30;
  const tens = bytes[at + 2]! - 0x30;
  const ones = bytes[at + 3]! - 0x30;
  if (!(hundreds >= 1 && hundreds <= 5 && tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9)) return -1;
  return hundreds * 100 + tens * 10 + ones;
}
