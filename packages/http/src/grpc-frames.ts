import { MeshError } from "@tulle/base";

/** A prefix: one byte of flags, four of length. */
const PREFIX_BYTES = 5;
/** grpc-js's and grpc-go's limit for received messages. */
const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const EMPTY: Buffer = Buffer.alloc(0);

/** Why a stream of messages was refused, with gRPC's status code. */
export interface GrpcFrameError {
  readonly code: "GRPC_MESSAGE_TOO_LARGE" | "GRPC_COMPRESSED" | "GRPC_BAD_PREFIX";
  /** RESOURCE_EXHAUSTED (8), INTERNAL (13). */
  readonly status: 8 | 13;
  readonly message: string;
}

const TOO_LARGE: GrpcFrameError = Object.freeze({
  code: "GRPC_MESSAGE_TOO_LARGE",
  status: 8,
  message: "a message is larger than the limit",
});
const COMPRESSED: GrpcFrameError = Object.freeze({
  code: "GRPC_COMPRESSED",
  status: 13,
  message: "a message is compressed, and no encoding was agreed on",
});
const BAD_PREFIX: GrpcFrameError = Object.freeze({
  code: "GRPC_BAD_PREFIX",
  status: 13,
  message: "a message's first byte is neither 0 nor 1",
});

/** Puts the length prefix before a message (gRPC over HTTP/2, `Length-Prefixed-Message`); not compressed. */
export function encodeGrpcMessage(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, PREFIX_BYTES);
  return framed;
}

/** Counts the messages in the bytes of a body by their prefixes, however they are split; keeps none of the bytes. */
export class GrpcMessageCounter {
  /** Messages begun: those whose whole prefix has come. */
  messages = 0;
  #prefixLength = 0;
  /** Of the message under way: its size as far as the prefix has come, then the bytes still to come. */
  #rest = 0;

  /** Prepares for the next body. */
  reset(): void {
    this.messages = 0;
    this.#prefixLength = 0;
    this.#rest = 0;
  }

  /** Looks at `chunk[start, end)`. */
  count(chunk: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#prefixLength < PREFIX_BYTES) {
        const byte = chunk[at++]!;
        // The first byte is for flags.
        if (this.#prefixLength++ > 0) this.#rest = this.#rest * 256 + byte;
        if (this.#prefixLength < PREFIX_BYTES) continue;
        this.messages++;
      }
      const length = Math.min(this.#rest, end - at);
      at += length;
      this.#rest -= length;
      if (this.#rest === 0) this.#prefixLength = 0;
    }
  }
}

/**
 * Takes messages out of the bytes of a body, however they are split. Linear: each byte is copied once. One per direction
 * of a call.
 */
export class GrpcFrameReader {
  readonly #maxMessageBytes: number;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixLength = 0;
  #message: Buffer = EMPTY;
  /** Bytes of the message announced, and how many of them are here. */
  #size = 0;
  #length = 0;
  #error: GrpcFrameError | undefined = undefined;

  /** `maxMessageBytes`: default 4 MiB, as of other gRPC implementations. */
  constructor(maxMessageBytes: number = DEFAULT_MAX_MESSAGE_BYTES) {
    if (!(maxMessageBytes >= 0 && maxMessageBytes <= 0xffff_ffff)) {
      throw new MeshError("invalid", "GRPC_BAD_OPTION", "maxMessageBytes must be between 0 and 2^32-1");
    }
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Set once a message was refused; nothing more is read. */
  get error(): GrpcFrameError | undefined {
    return this.#error;
  }

  /** Whether the body may end here: no message is under way. */
  get complete(): boolean {
    return this.#prefixLength === 0;
  }

  /** Memory that the message under way has, bytes. */
  get heldBytes(): number {
    return this.#message.length;
  }

  /** Reads `chunk[start, end)`; `onMessage` gets each message complete, in memory of its own. */
  execute(chunk: Buffer, start: number, end: number, onMessage: (message: Buffer) => void): void {
    let at = start;
    while (at < end && this.#error === undefined) {
      if (this.#prefixLength < PREFIX_BYTES) {
        this.#prefix[this.#prefixLength++] = chunk[at++]!;
        if (this.#prefixLength < PREFIX_BYTES || !this.#begin()) continue;
      } else {
        at = this.#fill(chunk, at, end);
      }
      if (this.#length < this.#size) continue;
      const message = this.#message;
      this.#message = EMPTY;
      this.#prefixLength = 0;
      onMessage(message);
    }
  }

  #begin(): boolean {
    const size = this.#prefix.readUInt32BE(1);
    const flags = this.#prefix[0]!;
    if (flags !== 0) this.#error = flags === 1 ? COMPRESSED : BAD_PREFIX;
    else if (size > this.#maxMessageBytes) this.#error = TOO_LARGE;
    this.#size = size;
    this.#length = 0;
    return this.#error === undefined;
  }

  /** Memory grows with what has come, not with what was promised. */
  #fill(chunk: Buffer, at: number, end: number): number {
    const length = Math.min(this.#size - this.#length, end - at);
    const needed = this.#length + length;
    if (needed > this.#message.length) {
      const room = Math.min(this.#size, Math.max(needed, 2 * this.#message.length));
      const grown = Buffer.allocUnsafeSlow(room);
      this.#message.copy(grown, 0, 0, this.#length);
      this.#message = grown;
    }
    chunk.copy(this.#message, this.#length, at, at + length);
    this.#length = needed;
    return at + length;
  }
}
