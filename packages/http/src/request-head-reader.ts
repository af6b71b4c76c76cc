import { parseAuthority } from "./authority.js";
import { TARGET, TOKEN, equalsIgnoringCase } from "./characters.js";
import type { Http1Error, Http1Limits, RequestHead } from "./contract.js";
import { internName, internedName } from "./field-names.js";
import { FieldSection } from "./field-section.js";
import { HTTP1_ERRORS } from "./http1-errors.js";
import { copyOf, latin1Slice } from "./latin1.js";
import { type HeadReader, Follow } from "./message-parser.js";
import { parseRequestTarget } from "./request-target.js";
import { isCarriedUpgrade } from "./upgrade.js";
import { readMinorVersion } from "./version.js";

const SP = 0x20;
const CR = 0x0d;
const LF = 0x0a;
const SLASH = 0x2f;

/** Reads request heads (RFC 9112 section 3) and decides framing (section 6.3), keep-alive, Expect and Upgrade. */
export class RequestHeadReader implements HeadReader<RequestHead> {
  readonly skipsEmptyLine = true;
  follow: number = Follow.MESSAGE;
  readonly fields: FieldSection;
  error: Http1Error | undefined = undefined;

  constructor(limits: Http1Limits) {
    this.fields = new FieldSection(limits.maxHeaderCount);
  }

  mayBegin(): undefined {
    return undefined;
  }

  refusal(error: Http1Error): Http1Error {
    return error;
  }

  read(bytes: Buffer, start: number, end: number): RequestHead | undefined {
    const text = latin1Slice(bytes, start, end);
    let at = start;
    let hash = 0;
    let byte = bytes[at]!;
    while (TOKEN[byte] === 1) {
      hash = (Math.imul(hash, 31) + byte) | 0;
      byte = bytes[++at]!;
    }
    if (byte !== SP || at === start) return this.#refuse(HTTP1_ERRORS.requestLine);
    const slot = internName(bytes, start, at, hash);
    const method = slot < 0 ? text.substring(0, at - start) : internedName(slot);

    const targetStart = ++at;
    const targetByte = bytes[at]!;
    while (TARGET[bytes[at]!] === 1) at++;
    if (bytes[at] !== SP)
      return this.#refuse(bytes[at] === CR ? HTTP1_ERRORS.requestLine : HTTP1_ERRORS.target);
    if (at === targetStart) return this.#refuse(HTTP1_ERRORS.requestLine);
    const target = text.substring(targetStart - start, at - start);

    const minorVersion = readMinorVersion(bytes, ++at);
    at += 8;
    if (minorVersion === -1 || bytes[at] !== CR || bytes[at + 1] !== LF) {
      return this.#refuse(HTTP1_ERRORS.requestLine);
    }
    if (minorVersion < 0) return this.#refuse(HTTP1_ERRORS.version);

    const headers = this.fields.read(bytes, at + 2, end, text, start);
    if (headers === undefined) return this.#refuse(this.fields.error ?? HTTP1_ERRORS.fieldValue);
    const error =
      this.#checkFraming(method, minorVersion) ?? this.#checkHost(minorVersion) ?? this.#checkExpect();
    if (error !== undefined) return this.#refuse(error);

    let host = this.fields.host;
    if (targetByte !== SLASH || method === "CONNECT") {
      const parsed = parseRequestTarget(method, target);
      if (parsed === undefined) return this.#refuse(HTTP1_ERRORS.target);
      if (parsed.authority !== "") host = parsed.authority;
    }
    // What follows CONNECT is not HTTP, whether the tunnel comes about or not: it must never be read as a request.
    this.follow = method === "CONNECT" ? Follow.TUNNEL : Follow.MESSAGE;
    return this.#compose(method, target, minorVersion === 0 ? 0 : 1, headers, host);
  }

  #compose(
    method: string,
    target: string,
    minorVersion: 0 | 1,
    headers: string[],
    host: string,
  ): RequestHead {
    const { fields } = this;
    const length = fields.contentLength;
    return {
      method,
      target,
      minorVersion,
      headers,
      framing: fields.chunked ? "chunked" : length >= 0 ? "length" : "none",
      contentLength: fields.chunked ? -1 : length >= 0 ? length : 0,
      keepAlive: method !== "CONNECT" && !fields.close && (minorVersion === 1 || fields.keepAlive),
      expectContinue: fields.expectCount === 1 && minorVersion === 1 && (fields.chunked || length > 0),
      upgrade: fields.upgradeCount === 1 && minorVersion === 1 ? this.#validUpgrade(method) : "",
      host,
    };
  }

  #checkFraming(method: string, minorVersion: number): Http1Error | undefined {
    const { fields } = this;
    if (!fields.chunked) {
      return method === "CONNECT" && fields.contentLength > 0 ? HTTP1_ERRORS.connectBody : undefined;
    }
    if (fields.contentLength >= 0) return HTTP1_ERRORS.lengthAndCoding;
    if (minorVersion === 0) return HTTP1_ERRORS.codingInHttp10;
    return method === "CONNECT" ? HTTP1_ERRORS.connectBody : undefined;
  }

  #checkHost(minorVersion: number): Http1Error | undefined {
    const { fields } = this;
    if (fields.hostCount === 1) {
      const { host } = fields;
      // The last one found valid: on one connection it is nearly always the same.
      if (host === fields.knownHost && host !== "") return undefined;
      if (parseAuthority(host) === undefined) return HTTP1_ERRORS.host;
      // Cut from the head's text: a copy does not keep that head alive.
      fields.knownHost = copyOf(host);
      fields.host = fields.knownHost;
      return undefined;
    }
    if (fields.hostCount > 1) return HTTP1_ERRORS.hostDuplicate;
    return minorVersion === 0 ? undefined : HTTP1_ERRORS.hostMissing;
  }

  #checkExpect(): Http1Error | undefined {
    const { fields } = this;
    if (fields.expectCount === 0) return undefined;
    return fields.expectCount === 1 && equalsIgnoringCase(fields.expect, "100-continue")
      ? undefined
      : HTTP1_ERRORS.expectation;
  }

  /** One protocol, on a GET without body whose Connection names it; anything else is no upgrade but a plain request. */
  #validUpgrade(method: string): string {
    const { fields } = this;
    if (!fields.connectionUpgrade || method !== "GET" || fields.chunked || fields.contentLength > 0)
      return "";
    return isCarriedUpgrade(fields.upgrade) ? fields.upgrade : "";
  }

  #refuse(error: Http1Error): undefined {
    this.error = error;
    return undefined;
  }
}
