/** Methods that every Buffer has had since Node.js 6 and that its type does not name. */
interface Latin1Buffer extends Buffer {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, offset: number, length: number): number;
}

/**
 * Text of `bytes[start, end)`, one character a byte. Half the cost of `toString("latin1", start, end)`, which first
 * looks up the encoding: it runs once per head.
 */
export function latin1Slice(bytes: Buffer, start: number, end: number): string {
  return (bytes as Latin1Buffer).latin1Slice(start, end);
}

/** Writes `text` at `offset`, one byte a character. The caller made room for it. */
export function latin1Write(bytes: Buffer, text: string, offset: number): void {
  (bytes as Latin1Buffer).latin1Write(text, offset, text.length);
}

/** A copy of `text` that shares no memory with the longer text it was cut from. */
export function copyOf(text: string): string {
  return Buffer.from(text, "utf8").toString("utf8");
}
