import fc from "fast-check";
import { expect, test } from "vitest";

import { MemoryRelief, type BufferingStream } from "./memory-relief.js";

const KIB = 1024;

class Stream implements BufferingStream {
  readonly bufferedBytes: number;
  ended = false;

  constructor(bufferedBytes: number) {
    this.bufferedBytes = bufferedBytes;
  }

  shed(): void {
    this.ended = true;
  }
}

/** A relief with one connection for each of these streams. */
function holding(sizes: readonly number[], leastBytes = 64 * KIB): [MemoryRelief, readonly Stream[]] {
  const relief = new MemoryRelief(leastBytes);
  const streams = sizes.map((size) => new Stream(size));
  for (const stream of streams)
    relief.add({ endIdle: () => undefined, visitStreams: (visit) => visit(stream) });
  return [relief, streams];
}

const ended = (streams: readonly Stream[]): number[] =>
  streams.filter((stream) => stream.ended).map(({ bufferedBytes }) => bufferedBytes / KIB);

test("the heaviest class goes first, all that hold enough at full pressure, and nobody who holds less", () => {
  const sizes = [10, 63, 64, 100, 300, 500, 1500].map((kib) => kib * KIB);
  const [little, those] = holding(sizes);
  expect(little.resetHeaviest(0)).toBe(0);
  expect(little.resetHeaviest(0.05)).toBe(1);
  expect(ended(those)).toEqual([1500]);
  const [half, some] = holding(sizes);
  expect(half.resetHeaviest(0.5)).toBe(3);
  expect(ended(some)).toEqual([300, 500, 1500]);
  const [full, all] = holding(sizes);
  expect(full.resetHeaviest(1)).toBe(5);
  expect(ended(all)).toEqual([64, 100, 300, 500, 1500]);
});

test("no more than fifty go at a time, and nobody where the limit is off or the connection has left", () => {
  const [many, streams] = holding(Array.from({ length: 200 }, () => 128 * KIB));
  expect(many.resetHeaviest(1)).toBe(50);
  expect(ended(streams).length).toBe(50);
  expect(holding([2 ** 40], 0)[0].resetHeaviest(1)).toBe(0);
  const relief = new MemoryRelief(1);
  const connection = { endIdle: () => undefined, visitStreams: () => expect.unreachable() };
  relief.add(connection);
  relief.remove(connection);
  expect(relief.resetHeaviest(1)).toBe(0);
});

test("whoever is reset holds at least half of what anybody spared holds", () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 1 << 24 }), { maxLength: 40 });
  fc.assert(
    fc.property(sizes, fc.double({ min: 0, max: 1, noNaN: true }), (held, pressure) => {
      const [relief, streams] = holding(held);
      const resets = relief.resetHeaviest(pressure);
      const gone = streams.filter((stream) => stream.ended);
      expect(gone.length).toBe(resets);
      const least = Math.min(...gone.map(({ bufferedBytes }) => bufferedBytes));
      // Of the last class, which is open above, each holds 128 times the least at any rate.
      for (const spared of streams.filter((stream) => !stream.ended))
        expect(Math.min(spared.bufferedBytes, 128 * 64 * KIB)).toBeLessThan(2 * least);
    }),
  );
});
