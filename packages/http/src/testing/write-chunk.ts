import type { ByteSink } from "../contract.js";
import { writeChunkEnd, writeChunkStart } from "../encode.js";

/** Writes `bytes[start, end)` as one chunk (RFC 9112 section 7.1). Nothing when it is empty: that would end the body. */
export function writeChunk(sink: ByteSink, bytes: Buffer, start: number, end: number): void {
  if (end <= start) return;
  writeChunkStart(sink, end - start);
  sink.writeBytes(bytes, start, end);
  writeChunkEnd(sink);
}
