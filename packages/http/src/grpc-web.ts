import type { HeaderList } from "./contract.js";
import { lowerName } from "./field-names.js";

/** What a content type of gRPC-Web says (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md). */
export interface GrpcWebContent {
  /** Bodies are base64 (`application/grpc-web-text`). */
  readonly text: boolean;
  /** The message format: `+proto` and the like, "" when none is named. */
  readonly format: string;
}

const CONTENT_TYPE = /^application\/grpc-web(-text)?(\+[a-z0-9.+-]{1,32})?[ \t]*(?:;|$)/i;

/** Undefined when the content type is not gRPC-Web's. */
export function readGrpcWebContentType(value: string): GrpcWebContent | undefined {
  const match = CONTENT_TYPE.exec(value);
  return match === null ? undefined : { text: match[1] !== undefined, format: match[2] ?? "" };
}

/** The content type of an answer. */
export function grpcWebContentType({ text, format }: GrpcWebContent): string {
  return `application/grpc-web${text ? "-text" : ""}${format}`;
}

/** The first byte of the last frame, which has the trailers. */
const TRAILERS_FLAG = 0x80;
const PREFIX_BYTES = 5;

/** The last frame of a body: what HTTP/2 would have as trailers, as lines of HTTP/1.1. */
export function encodeGrpcWebTrailers(trailers: HeaderList): Buffer {
  let lines = "";
  for (let i = 0; i < trailers.length; i += 2) lines += `${lowerName(trailers[i]!)}: ${trailers[i + 1]!}\r\n`;
  const frame = Buffer.alloc(PREFIX_BYTES + lines.length);
  frame[0] = TRAILERS_FLAG;
  frame.writeUInt32BE(lines.length, 1);
  frame.write(lines, PREFIX_BYTES, "latin1");
  return frame;
}

/** Characters of base64 come in fours. */
const GROUP = 4;
const PADDING = 0x3d;

/** Digits of base64, by character; -1 = it is none. */
const DIGITS = digits();

/**
 * Reads base64 that comes in any pieces. Padding may stand within it, at the end of any group of four: whoever encodes
 * a body piece by piece pads each. One per body.
 */
export class Base64Decoder {
  #bits = 0;
  /** Characters of the group under way, and how many of them are padding. */
  #count = 0;
  #padding = 0;
  #failed = false;

  /** Whether something came that is not base64. Nothing is read any more. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Whether the body may end here. */
  get complete(): boolean {
    return this.#count === 0 && !this.#failed;
  }

  /** What `chunk[start, end)` completes; memory of its own. */
  decode(chunk: Buffer, start: number, end: number): Buffer {
    const out = Buffer.allocUnsafe((((this.#count + end - start) / GROUP) | 0) * 3);
    let length = 0;
    for (let at = start; at < end && !this.#failed; at++) {
      this.#take(chunk[at]!);
      if (this.#count < GROUP) continue;
      const bytes = 3 - this.#padding;
      for (let shift = 16, left = bytes; left > 0; left--, shift -= 8) out[length++] = this.#bits >> shift;
      this.#bits = 0;
      this.#count = 0;
      this.#padding = 0;
    }
    return out.subarray(0, length);
  }

  #take(character: number): void {
    if (character === PADDING) {
      // At the end of a group, two at most.
      this.#failed = this.#count < 2;
      this.#padding++;
      this.#bits <<= 6;
    } else {
      const digit = DIGITS[character]!;
      this.#failed = digit < 0 || this.#padding > 0;
      this.#bits = (this.#bits << 6) | digit;
    }
    this.#count++;
  }
}

function digits(): Int8Array {
  const table = new Int8Array(256).fill(-1);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (let digit = 0; digit < alphabet.length; digit++) table[alphabet.charCodeAt(digit)] = digit;
  return table;
}
