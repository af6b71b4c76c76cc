import { expect, test } from "vitest";
import { GrowingBuffer } from "./growing-buffer.js";

test("GrowingBuffer keeps what was written in order while it grows", () => {
  const sink = new GrowingBuffer({ initialBytes: 8 });
  sink.writeLatin1("short\xe9");
  sink.writeLatin1("a text of more than twenty-four characters \xff");
  sink.writeBytes(Buffer.from("[body]"), 1, 5);
  const expected = "short\xe9a text of more than twenty-four characters \xffbody";
  expect(sink.view().toString("latin1")).toBe(expected);
  expect(sink.length).toBe(expected.length);
});

test("GrowingBuffer writes no character that could end a line or a word", () => {
  const sink = new GrowingBuffer();
  sink.writeFieldText("a\r\nb\0c\u010ad\u{1f600}\t\x7f\xe9");
  sink.writeWord("a b\r\n\u010a\xe9:");
  expect(sink.view().toString("latin1")).toBe("a  b c d  \t \xe9a_b____:");
  for (const bad of ["\r", "\n", "\0", "\u010a", "\x7f"]) {
    sink.reset();
    sink.writeFieldText(`${"x".repeat(40)}${bad}é`);
    expect(sink.view().toString("latin1")).toBe(`${"x".repeat(40)} é`);
  }
});

test("GrowingBuffer throws when a write passes its bound and keeps what it held", () => {
  const sink = new GrowingBuffer({ initialBytes: 4, maxBytes: 10 });
  sink.writeLatin1("0123456789");
  expect(() => sink.writeLatin1("x")).toThrow(
    expect.objectContaining({ code: "HTTP_BUFFER_FULL", kind: "exhausted" }),
  );
  expect(sink.view().toString()).toBe("0123456789");
});

test("GrowingBuffer gives its memory away with take, and it serves again after recycle", () => {
  const sink = new GrowingBuffer();
  sink.writeLatin1("one");
  const taken = sink.take();
  expect([taken.toString(), sink.length]).toEqual(["one", 0]);
  sink.writeLatin1("two");
  expect(taken.toString()).toBe("one");
  sink.recycle(taken);
  expect(sink.view().toString()).toBe("two");
  sink.take();
  sink.writeLatin1("three");
  expect(sink.view().buffer).toBe(taken.buffer);
});

test("GrowingBuffer does not take memory that is of no usual size, or a part of something", () => {
  const sink = new GrowingBuffer();
  const foreign = [Buffer.alloc(64), Buffer.from(new ArrayBuffer(8192), 4096)];
  for (const memory of foreign) sink.recycle(memory);
  sink.writeLatin1("x");
  for (const memory of foreign) expect(sink.view().buffer).not.toBe(memory.buffer);
});

test("GrowingBuffer lends its memory to whoever writes next after reset", () => {
  const first = new GrowingBuffer();
  const second = new GrowingBuffer();
  first.writeLatin1("one");
  const { buffer } = first.view();
  first.reset();
  second.writeLatin1("two");
  expect(second.view().buffer).toBe(buffer);
  first.writeLatin1("three");
  expect(first.view().buffer).not.toBe(buffer);
  expect([first, second].map((sink) => sink.view().toString())).toEqual(["three", "two"]);
});

test("GrowingBuffer gives a view of as many bytes as were written, whatever it wrote before", () => {
  const sink = new GrowingBuffer();
  for (const length of [5, 9, 5, 13, 5, 6, 9]) {
    sink.writeLatin1("x".repeat(length));
    expect(sink.view().length).toBe(length);
    sink.reset();
  }
});

test("a long text that was clean once says nothing about another of its length", () => {
  const sink = new GrowingBuffer();
  const clean = "a".repeat(200);
  for (const text of [clean, clean, `${"a".repeat(199)}\n`, clean]) sink.writeFieldText(text);
  expect(sink.view().toString()).toBe(`${clean}${clean}${"a".repeat(199)} ${clean}`);
});

test("large memory is lent for as long as there is something in it", () => {
  const one = new GrowingBuffer();
  one.writeBytes(Buffer.alloc(50_000, 1), 0, 50_000);
  const large = one.view().buffer;
  one.reset();
  one.writeLatin1("x");
  expect(one.view().buffer.byteLength).toBe(4096);
  const other = new GrowingBuffer();
  other.writeBytes(Buffer.alloc(60_000, 2), 0, 60_000);
  expect(other.view().buffer).toBe(large);
  const taken = other.take();
  one.writeBytes(Buffer.alloc(60_000, 3), 0, 60_000);
  expect(one.view().buffer).not.toBe(large);
  other.recycle(taken);
  other.writeBytes(Buffer.alloc(40_000, 4), 0, 40_000);
  expect(other.view().buffer).toBe(large);
  expect(other.view().every((byte) => byte === 4)).toBe(true);
});

test("what is larger than large is nobody's", () => {
  const sink = new GrowingBuffer();
  sink.writeBytes(Buffer.alloc(200_000), 0, 200_000);
  const huge = sink.view().buffer;
  sink.reset();
  sink.writeBytes(Buffer.alloc(200_000), 0, 200_000);
  expect(sink.view().buffer).not.toBe(huge);
});
