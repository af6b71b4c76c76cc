import { expect, test } from "vitest";
import {
  writeChunkEnd,
  writeChunkStart,
  writeLastChunk,
  writeRequestHead,
  writeResponseHead,
} from "./encode.js";
import { GrowingBuffer } from "./growing-buffer.js";

function written(write: (sink: GrowingBuffer) => void): string {
  const sink = new GrowingBuffer();
  write(sink);
  return sink.view().toString("latin1");
}

test("writeRequestHead writes request line, fields as spelt, and the empty line", () => {
  expect(written((sink) => writeRequestHead(sink, "GET", "/a", ["HoSt", "b", "x", ""]))).toBe(
    "GET /a HTTP/1.1\r\nHoSt: b\r\nx: \r\n\r\n",
  );
});

test("writeRequestHead cannot be made to write a second line or message", () => {
  const text = written((sink) =>
    writeRequestHead(sink, "G ET", "/a b\r\nX: y", ["a\r\nb", "c\r\n\r\nGET / HTTP/1.1"]),
  );
  expect(text).toBe("G_ET /a_b__X:_y HTTP/1.1\r\na__b: c    GET / HTTP/1.1\r\n\r\n");
});

test("writeResponseHead writes the status line with and without reason", () => {
  expect(written((sink) => writeResponseHead(sink, 200, "OK", []))).toBe("HTTP/1.1 200 OK\r\n\r\n");
  expect(written((sink) => writeResponseHead(sink, 503, "", ["A", "b"]))).toBe(
    "HTTP/1.1 503 \r\nA: b\r\n\r\n",
  );
});

test("writeChunkStart and writeChunkEnd put size and line ends around a chunk's bytes", () => {
  expect(written((sink) => writeChunkStart(sink, 16))).toBe("10\r\n");
  expect(written((sink) => writeChunkEnd(sink))).toBe("\r\n");
});

test("writeLastChunk writes trailers when there are some", () => {
  expect(written((sink) => writeLastChunk(sink, []))).toBe("0\r\n\r\n");
  expect(written((sink) => writeLastChunk(sink, ["Sum", "1"]))).toBe("0\r\nSum: 1\r\n\r\n");
});
