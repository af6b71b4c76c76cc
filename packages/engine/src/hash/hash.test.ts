import fc from "fast-check";
import { expect, test } from "vitest";
import xxhash from "xxhash-wasm";

import { murmur2 } from "./murmur2.js";
import { Word64 } from "./word64.js";
import { xxHash64 } from "./xxhash64.js";

const MASK = 0xffff_ffff_ffff_ffffn;

function big({ high, low }: Word64): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}

function word(value: bigint): Word64 {
  return new Word64(Number(value >> 32n), Number(value & 0xffff_ffffn));
}

test("xxHash64 agrees with the reference on bytes of any length and any 32-bit seed", async () => {
  const reference = await xxhash();
  const bytes = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(bytes, fc.integer({ min: 0, max: 0xffff_ffff }), (input, seed) => {
      const text = Buffer.from(input).toString("latin1");
      expect(big(xxHash64(text, seed))).toBe(reference.h64Raw(input, BigInt(seed)));
    }),
    { numRuns: 500 },
  );
});

test("xxHash64 agrees with the vectors of its specification", () => {
  expect(big(xxHash64(""))).toBe(0xef46db3751d8e999n);
  expect(big(xxHash64("a"))).toBe(0xd24ec4f1a98c6e5bn);
});

// From std::hash<std::string> of GCC's standard library on x86-64.
test.each([
  ["", 0x553e93901e462a6en],
  ["a", 0x454ddee488c1ed6bn],
  ["test", 0xd1d16a4a0a7a19fbn],
  ["10.0.0.1:80_0", 0xbd8f6461ecffb28cn],
  ["0123456789abcdef", 0x934b0d760642ed86n],
])("murmur2 of %j is that of std::hash", (text, expected) => {
  expect(big(murmur2(text))).toBe(expected);
});

test("Word64 calculates as 64-bit integers do", () => {
  const any = fc.bigInt({ min: 0n, max: MASK });
  fc.assert(
    fc.property(
      any,
      any,
      fc.integer({ min: 1, max: 31 }),
      fc.integer({ min: 1, max: 63 }),
      (a, b, turn, shift) => {
        expect(big(word(a).add(word(b)))).toBe((a + b) & MASK);
        expect(big(word(a).subtract(word(b)))).toBe((a - b) & MASK);
        expect(big(word(a).multiply(word(b)))).toBe((a * b) & MASK);
        expect(big(word(a).xor(word(b)))).toBe(a ^ b);
        const rotated = ((a << BigInt(turn)) | (a >> BigInt(64 - turn))) & MASK;
        expect(big(word(a).rotate(turn))).toBe(rotated);
        expect(big(word(a).xorShift(shift))).toBe(a ^ (a >> BigInt(shift)));
        expect(word(a).modulo(65_537)).toBe(Number(a % 65_537n));
        expect(word(a).upper53).toBe(Number(a >> 11n));
      },
    ),
  );
});
