import { Writable } from "node:stream";

import { FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import { LineWriter } from "./line-writer.js";
import { Counter } from "./metrics.js";

function sinkOf(write: (text: string, done: (error?: Error) => void) => void): Writable {
  return new Writable({ write: (chunk: Buffer, _encoding, done) => write(chunk.toString(), done) });
}

test("LineWriter writes a batch a second after its first line, or at once when it is large", async () => {
  const clock = new FakeClock();
  const written: string[] = [];
  const writer = new LineWriter(
    sinkOf((text, done) => {
      written.push(text);
      done();
    }),
    clock,
    new Counter(),
  );
  writer.write("a");
  writer.write("b");
  await clock.advance(900);
  expect(written).toEqual([]);
  await clock.advance(200);
  expect(written).toEqual(["a\nb\n"]);
  writer.write("x".repeat(10_000));
  expect(written).toHaveLength(2);
  expect(clock.pending).toBe(0);
});

test("LineWriter drops and counts lines while its sink is stuck", () => {
  const dropped = new Counter();
  const writer = new LineWriter(
    sinkOf(() => undefined),
    new FakeClock(),
    dropped,
  );
  for (let i = 0; i < 300; i++) writer.write("x".repeat(10_000));
  expect(dropped.value).toBeGreaterThan(150);
});

test("LineWriter goes on without its sink when that breaks", async () => {
  const dropped = new Counter();
  const writer = new LineWriter(
    sinkOf((_text, done) => done(new Error("EPIPE"))),
    new FakeClock(),
    dropped,
  );
  writer.write("a");
  writer.flush();
  await new Promise((resolve) => setImmediate(resolve));
  writer.write("b");
  expect(dropped.value).toBe(1);
});
