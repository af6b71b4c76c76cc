import type { ByteSink, HeaderList } from "./contract.js";

/**
 * Writes a request head and the empty line after it. `headers` must hold the framing fields and Host; all is
 * written as it is, save characters that would end the line or the word: those are replaced, so that no value however
 * it came here can split a message (`ByteSink.writeWord`, `writeFieldText`).
 */
export function writeRequestHead(sink: ByteSink, method: string, target: string, headers: HeaderList): void {
  sink.writeWord(method);
  sink.writeLatin1(" ");
  sink.writeWord(target);
  sink.writeLatin1(" HTTP/1.1\r\n");
  writeFields(sink, headers);
}

/** Writes a response head, as `writeRequestHead` does. `reason` may be empty. */
export function writeResponseHead(sink: ByteSink, status: number, reason: string, headers: HeaderList): void {
  if (status === 200 && reason === "OK") sink.writeLatin1("HTTP/1.1 200 OK\r\n");
  else {
    sink.writeLatin1("HTTP/1.1 ");
    sink.writeLatin1(String(status));
    sink.writeLatin1(" ");
    sink.writeFieldText(reason);
    sink.writeLatin1("\r\n");
  }
  writeFields(sink, headers);
}

/** Writes `size` in hexadecimal and CRLF; the chunk's bytes and `writeChunkEnd` must follow. `size` is not 0. */
export function writeChunkStart(sink: ByteSink, size: number): void {
  sink.writeLatin1(size.toString(16));
  sink.writeLatin1("\r\n");
}

/** Ends the data of a chunk. */
export function writeChunkEnd(sink: ByteSink): void {
  sink.writeLatin1("\r\n");
}

/** Ends a chunked body, with trailer fields if any. */
export function writeLastChunk(sink: ByteSink, trailers: HeaderList): void {
  sink.writeLatin1("0\r\n");
  writeFields(sink, trailers);
}

function writeFields(sink: ByteSink, headers: HeaderList): void {
  for (let i = 0; i < headers.length; i += 2) {
    sink.writeWord(headers[i]!);
    sink.writeLatin1(": ");
    sink.writeFieldText(headers[i + 1]!);
    sink.writeLatin1("\r\n");
  }
  sink.writeLatin1("\r\n");
}
