import { textBytes } from "./text-bytes.js";
import { Word64 } from "./word64.js";

const FACTOR = new Word64(0xc6a4a793, 0x5bd1e995);
/** The seed of the standard library's `std::hash`, which Envoy's MURMUR_HASH_2 stands for. */
const SEED = new Word64(0, 0xc70f6907);

const word = new Word64();
const result = new Word64();

/** MurmurHash2 of 64 bits, variant A. Characters stand for one byte each. The result is lent until the next call. */
export function murmur2(text: string): Word64 {
  const bytes = textBytes(text);
  const { length } = text;
  result.copy(SEED).xor(word.set(0, length).multiply(FACTOR));
  const whole = length - (length % 8);
  for (let at = 0; at < whole; at += 8) {
    load(bytes, at, 8);
    word.multiply(FACTOR).xorShift(47).multiply(FACTOR);
    result.xor(word).multiply(FACTOR);
  }
  if (whole < length) {
    load(bytes, whole, length - whole);
    result.xor(word).multiply(FACTOR);
  }
  return result.xorShift(47).multiply(FACTOR).xorShift(47);
}

/** Fills `word` with up to eight bytes, the first one lowest. */
function load(bytes: Uint8Array, from: number, count: number): void {
  let low = 0;
  let high = 0;
  for (let index = 0; index < count; index++) {
    if (index < 4) low |= bytes[from + index]! << (8 * index);
    else high |= bytes[from + index]! << (8 * (index - 4));
  }
  word.set(high, low);
}
