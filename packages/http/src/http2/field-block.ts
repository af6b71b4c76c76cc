import type { HeaderList } from "../contract.js";
import { isForbiddenInTrailers } from "../hop-by-hop.js";
import { parseContentLength } from "./content-length.js";
import type { Http2Head, Http2Limits, Http2Refusal } from "./contract.js";
import type { FieldTarget } from "./hpack/decoder.js";
import { Kind } from "./hpack/field-kind.js";
import { REFUSALS } from "./refusals.js";
import { RequestRules, statusOf } from "./request-rules.js";

/** What a block is. */
export const Section = { REQUEST: 0, RESPONSE: 1, TRAILERS: 2, DISCARDED: 3 } as const;

/** A block so many times larger than the limits ends the connection: it was not sent by mistake. */
const FLOOD_FACTOR = 4;

/**
 * Collects the fields of one block and judges them (RFC 9113 sections 8.2 and 8.3). One per session, `begin` for each
 * block; only the list of fields is new. The first refusal stays; what follows it is only counted.
 */
export class FieldBlock implements FieldTarget {
  readonly #limits: Http2Limits;
  readonly #rules: RequestRules;
  readonly #hostField: boolean;
  #section: number = Section.DISCARDED;
  #refusal: Http2Refusal | undefined = undefined;
  #headers: HeaderList = [];
  #bytes = 0;
  #count = 0;
  #crumbs = 0;
  /** Where the value of the one cookie field lies in `#headers`. */
  #cookieAt = -1;
  #regularSeen = false;
  #method: string | undefined = undefined;
  #scheme: string | undefined = undefined;
  #authority: string | undefined = undefined;
  #path: string | undefined = undefined;
  #protocol: string | undefined = undefined;
  #host: string | undefined = undefined;
  #status = 0;
  #contentLength = -1;

  /** `extendedConnect`: we announced it. `hostField`: see `Http2Options`. */
  constructor(limits: Http2Limits, extendedConnect: boolean, hostField: boolean) {
    this.#limits = limits;
    this.#hostField = hostField;
    this.#rules = new RequestRules(extendedConnect);
  }

  begin(section: number): void {
    this.#section = section;
    this.#refusal = undefined;
    this.#headers = [];
    this.#bytes = 0;
    this.#count = 0;
    this.#crumbs = 0;
    this.#cookieAt = -1;
    this.#regularSeen = false;
    this.#method = undefined;
    this.#scheme = undefined;
    this.#authority = undefined;
    this.#path = undefined;
    this.#protocol = undefined;
    this.#host = undefined;
    this.#status = 0;
    this.#contentLength = -1;
  }

  get discarding(): boolean {
    return this.#refusal !== undefined || this.#section === Section.DISCARDED;
  }

  get flooded(): boolean {
    return (
      this.#bytes > FLOOD_FACTOR * this.#limits.maxHeaderListBytes ||
      this.#count > FLOOD_FACTOR * (this.#limits.maxHeaderCount + this.#limits.maxCookieCrumbs)
    );
  }

  onField(name: string, value: string, kind: number): void {
    const size = name.length + value.length;
    this.#bytes += size + 32;
    this.#count++;
    if (this.#refusal !== undefined || this.#section === Section.DISCARDED) return;
    const limits = this.#limits;
    if (this.#bytes > limits.maxHeaderListBytes || size > limits.maxFieldBytes) {
      this.#refusal = REFUSALS.headerList;
      return;
    }
    // Fields that are no cookies, pseudo fields included; a request has five of these at most.
    if (this.#count - this.#crumbs > limits.maxHeaderCount + 5) {
      this.#refusal = REFUSALS.headerCount;
      return;
    }
    if (kind === Kind.OTHER) {
      this.#regularSeen = true;
      if (this.#section === Section.TRAILERS && isForbiddenInTrailers(name)) return;
      this.#headers.push(name, value);
      return;
    }
    this.#refusal = this.#section === Section.TRAILERS ? this.#trailer(kind) : this.#act(kind, name, value);
  }

  /** The refusal of the whole block, once all of it was decoded. */
  finish(): Http2Refusal | undefined {
    if (this.#refusal !== undefined) return this.#refusal;
    const own = this.#hostField && (this.#authority ?? "") !== "" ? 2 : 0;
    if (this.#headers.length - own > 2 * this.#limits.maxHeaderCount) return REFUSALS.headerCount;
    if (this.#section === Section.RESPONSE) return this.#status === 0 ? REFUSALS.pseudoMissing : undefined;
    if (this.#section !== Section.REQUEST) return undefined;
    return this.#rules.check(
      this.#method,
      this.#scheme,
      this.#authority,
      this.#path,
      this.#protocol,
      this.#host,
      this.#contentLength,
    );
  }

  /** The head, after `finish` found nothing. */
  head(endStream: boolean): Http2Head {
    if (this.#hostField && this.#authority === undefined && (this.#host ?? "") !== "") {
      this.#headers.unshift("host", this.#host ?? "");
    }
    return {
      method: this.#method ?? "",
      scheme: this.#scheme ?? "",
      authority: this.#authority ?? this.#host ?? "",
      path: this.#path ?? "",
      protocol: this.#protocol ?? "",
      status: this.#status,
      headers: this.#headers,
      contentLength: this.#contentLength,
      endStream,
    };
  }

  /** The fields of a trailer section, after `finish` found nothing. */
  trailers(): HeaderList {
    return this.#headers;
  }

  #act(kind: number, name: string, value: string): Http2Refusal | undefined {
    switch (kind) {
      case Kind.METHOD: {
        if (this.#method !== undefined || !this.#mayBePseudo(Section.REQUEST)) return REFUSALS.pseudoField;
        this.#method = value;
        return undefined;
      }
      case Kind.SCHEME: {
        if (this.#scheme !== undefined || !this.#mayBePseudo(Section.REQUEST)) return REFUSALS.pseudoField;
        this.#scheme = value;
        return undefined;
      }
      case Kind.AUTHORITY: {
        if (this.#authority !== undefined || !this.#mayBePseudo(Section.REQUEST)) return REFUSALS.pseudoField;
        this.#authority = value;
        if (this.#hostField && value !== "") this.#headers.push("host", value);
        return undefined;
      }
      case Kind.PATH: {
        if (this.#path !== undefined || !this.#mayBePseudo(Section.REQUEST)) return REFUSALS.pseudoField;
        this.#path = value;
        return undefined;
      }
      case Kind.PROTOCOL: {
        if (this.#protocol !== undefined || !this.#mayBePseudo(Section.REQUEST)) return REFUSALS.pseudoField;
        this.#protocol = value;
        return undefined;
      }
      case Kind.STATUS: {
        if (this.#status !== 0 || !this.#mayBePseudo(Section.RESPONSE)) return REFUSALS.pseudoField;
        this.#status = statusOf(value);
        return this.#status === 0 ? REFUSALS.status : undefined;
      }
      case Kind.UNKNOWN_PSEUDO: {
        return REFUSALS.pseudoField;
      }
      case Kind.CONNECTION: {
        return REFUSALS.connectionField;
      }
      case Kind.BAD_NAME: {
        return REFUSALS.fieldName;
      }
      case Kind.BAD_VALUE: {
        return REFUSALS.fieldValue;
      }
      default: {
        this.#regularSeen = true;
        return this.#actOnRegular(kind, name, value);
      }
    }
  }

  #actOnRegular(kind: number, name: string, value: string): Http2Refusal | undefined {
    switch (kind) {
      case Kind.CONTENT_LENGTH: {
        const length = parseContentLength(value);
        if (length < 0 || this.#contentLength >= 0) return REFUSALS.contentLength;
        this.#contentLength = length;
        break;
      }
      case Kind.TE: {
        if (value.toLowerCase() !== "trailers") return REFUSALS.connectionField;
        break;
      }
      case Kind.HOST: {
        if (this.#section === Section.RESPONSE) break;
        if (this.#host !== undefined) return REFUSALS.authority;
        this.#host = value;
        return undefined;
      }
      case Kind.COOKIE: {
        return this.#addCookie(name, value);
      }
      default:
    }
    this.#headers.push(name, value);
    return undefined;
  }

  /** Crumbs become one field again (RFC 9113 section 8.2.3): servers behind HTTP/1.1 read only one. */
  #addCookie(name: string, value: string): Http2Refusal | undefined {
    if (++this.#crumbs > this.#limits.maxCookieCrumbs) return REFUSALS.headerCount;
    if (this.#cookieAt < 0) {
      this.#cookieAt = this.#headers.length + 1;
      this.#headers.push(name, value);
    } else this.#headers[this.#cookieAt] += `; ${value}`;
    return undefined;
  }

  #trailer(kind: number): Http2Refusal | undefined {
    switch (kind) {
      case Kind.COOKIE:
      case Kind.TE: {
        // Means nothing after the body; left out, as in HTTP/1.1.
        return undefined;
      }
      case Kind.CONNECTION: {
        return REFUSALS.connectionField;
      }
      case Kind.BAD_NAME: {
        return REFUSALS.fieldName;
      }
      case Kind.BAD_VALUE: {
        return REFUSALS.fieldValue;
      }
      default: {
        return REFUSALS.trailerField;
      }
    }
  }

  #mayBePseudo(section: number): boolean {
    return this.#section === section && !this.#regularSeen;
  }
}
