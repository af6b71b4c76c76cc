import { textBytes } from "./text-bytes.js";
import { Word64 } from "./word64.js";

const PRIME1 = new Word64(0x9e3779b1, 0x85ebca87);
const PRIME2 = new Word64(0xc2b2ae3d, 0x27d4eb4f);
const PRIME3 = new Word64(0x165667b1, 0x9e3779f9);
const PRIME4 = new Word64(0x85ebca77, 0xc2b2ae63);
const PRIME5 = new Word64(0x27d4eb2f, 0x165667c5);

// Hashes do not overlap: their working registers are made once.
const lanes = [new Word64(), new Word64(), new Word64(), new Word64()] as const;
const input = new Word64();
const result = new Word64();

/**
 * xxHash64, what Envoy and gRPC hash keys and ring entries with. Characters stand for one byte each. The result is lent
 * until the next call. https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 */
export function xxHash64(text: string, seed = 0): Word64 {
  const bytes = textBytes(text);
  const { length } = text;
  let at = length >= 32 ? stripes(bytes, length, seed) : 0;
  if (length < 32) result.set(0, seed).add(PRIME5);
  result.add(input.set(0, length));
  for (; at + 8 <= length; at += 8) {
    result.xor(round(input.set(word32(bytes, at + 4), word32(bytes, at)), undefined));
    result.rotate(27).multiply(PRIME1).add(PRIME4);
  }
  if (at + 4 <= length) {
    result.xor(input.set(0, word32(bytes, at)).multiply(PRIME1));
    result.rotate(23).multiply(PRIME2).add(PRIME3);
    at += 4;
  }
  for (; at < length; at++) {
    result.xor(input.set(0, bytes[at]!).multiply(PRIME5));
    result.rotate(11).multiply(PRIME1);
  }
  return result.xorShift(33).multiply(PRIME2).xorShift(29).multiply(PRIME3).xorShift(32);
}

/** Takes in all whole stripes of 32 bytes and leaves their hash in `result`. Returns how many bytes that were. */
function stripes(bytes: Uint8Array, length: number, seed: number): number {
  const [first, second, third, fourth] = lanes;
  first.set(0, seed).add(PRIME1).add(PRIME2);
  second.set(0, seed).add(PRIME2);
  third.set(0, seed);
  fourth.set(0, seed).subtract(PRIME1);
  let at = 0;
  for (; at + 32 <= length; at += 32) {
    for (let lane = 0; lane < 4; lane++) {
      const from = at + 8 * lane;
      round(input.set(word32(bytes, from + 4), word32(bytes, from)), lanes[lane]);
    }
  }
  result.copy(first).rotate(1);
  result
    .add(input.copy(second).rotate(7))
    .add(input.copy(third).rotate(12))
    .add(input.copy(fourth).rotate(18));
  for (const lane of lanes)
    result
      .xor(round(input.copy(lane), undefined))
      .multiply(PRIME1)
      .add(PRIME4);
  return at;
}

/** One round of `value` into a lane; without one, into zero. The result is the lane, or `value`. */
function round(value: Word64, lane: Word64 | undefined): Word64 {
  value.multiply(PRIME2);
  return (lane === undefined ? value : lane.add(value)).rotate(31).multiply(PRIME1);
}

function word32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
