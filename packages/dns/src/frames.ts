/** A DNS message with the length that goes before it on TCP (RFC 1035 section 4.2.2). At most 65,535 bytes. */
export function frame(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/**
 * Cuts a TCP stream into messages, however it is split. Keeps the messages that wait and one unfinished one: while
 * waiting, the caller must not read from the stream.
 */
export class FrameReader {
  readonly #onMessage: (message: Buffer) => boolean;
  #pieces: Buffer[] = [];
  #kept = 0;
  /** Bytes without which there is nothing to do: keeps one-byte pieces linear. */
  #needed = 2;
  #waiting = false;

  /** `onMessage` returns whether more may come; after false, messages wait for `resume`. */
  constructor(onMessage: (message: Buffer) => boolean) {
    this.#onMessage = onMessage;
  }

  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#kept += piece.length;
    this.#read();
  }

  /** Goes on with what waits. Returns false when it has to wait again. */
  resume(): boolean {
    this.#waiting = false;
    this.#read();
    return !this.#waiting;
  }

  #read(): void {
    if (this.#waiting || this.#kept < this.#needed) return;
    let rest = this.#pieces.length === 1 ? (this.#pieces[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#pieces);
    while (!this.#waiting) {
      this.#needed = rest.length < 2 ? 2 : 2 + rest.readUInt16BE(0);
      if (rest.length < this.#needed) break;
      const message = rest.subarray(2, this.#needed);
      rest = rest.subarray(this.#needed);
      this.#needed = 2;
      if (!this.#onMessage(message)) this.#waiting = true;
    }
    this.#pieces = rest.length === 0 ? [] : [rest];
    this.#kept = rest.length;
  }
}
