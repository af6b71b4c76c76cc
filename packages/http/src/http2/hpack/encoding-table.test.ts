import { expect, test } from "vitest";
import { Decoded, HpackDecoder } from "./decoder.js";
import { HpackEncoder, blockBound } from "./encoder.js";

/** Bytes of a block that carries `headers`; fails when the peer would not read the same. */
function carry(encoder: HpackEncoder, decoder: HpackDecoder, headers: string[]): number {
  const bytes = Buffer.alloc(blockBound(headers, 0));
  const end = encoder.writeTrailers(bytes, 0, headers);
  const read: string[] = [];
  const target = {
    onField: (name: string, value: string) => void read.push(name, value),
    discarding: false,
    flooded: false,
  };
  expect(decoder.decode(bytes, 0, end, target)).toBe(Decoded.OK);
  expect(read).toEqual(headers);
  return end;
}

test("a field that never repeats displaces nothing: hot fields stay at one byte among thousands of others", () => {
  const encoder = new HpackEncoder(4096);
  const decoder = new HpackDecoder(4096);
  const hot = ["x-team", "shop", "x-zone", "b", "accept", "*/*"];
  carry(encoder, decoder, hot);
  carry(encoder, decoder, hot);
  for (let i = 0; i < 5000; i++) {
    carry(encoder, decoder, ["x-unique", `${i}-${i * 7919}-value`, "x-request-id", `${i * 31}`]);
    expect(carry(encoder, decoder, hot)).toBeLessThanOrEqual(3 + 50);
  }
  expect(carry(encoder, decoder, hot)).toBe(3);
});

test("fields that do repeat and do not fit all are still read back, entry by entry", () => {
  const encoder = new HpackEncoder(300);
  const decoder = new HpackDecoder(4096);
  for (let i = 0; i < 3000; i++) {
    carry(encoder, decoder, [`x-${i % 13}`, `value ${i % 7}`, "accept", `a${i % 5}`, "traceparent", `t${i}`]);
    expect(encoder.tableBytes).toBeLessThanOrEqual(300);
  }
});
