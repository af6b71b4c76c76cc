import { CODES, CODE_LENGTHS } from "./huffman-code.js";

const lengths = Uint8Array.from(CODE_LENGTHS);

/** Bytes that `text` (Latin-1) takes in Huffman code. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += lengths[text.charCodeAt(i)]!;
  return (bits + 7) >>> 3;
}

/** Writes `text` (Latin-1) in Huffman code at `at`; returns where it ends. There must be room for `huffmanLength`. */
export function writeHuffman(bytes: Uint8Array, at: number, text: string): number {
  // At most 7 bits wait, then a code of up to 30 joins them: in two halves, so that 32 bits are enough.
  let pending = 0;
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i);
    let length = lengths[symbol]!;
    let code = CODES[symbol]!;
    if (length > 16) {
      const high = length - 16;
      pending = (pending << high) | (code >>> 16);
      count += high;
      while (count >= 8) {
        count -= 8;
        bytes[at++] = pending >>> count;
      }
      code &= 0xffff;
      length = 16;
    }
    pending = (pending << length) | code;
    count += length;
    while (count >= 8) {
      count -= 8;
      bytes[at++] = pending >>> count;
    }
  }
  // Padding is the start of EOS: ones.
  if (count > 0) bytes[at++] = (pending << (8 - count)) | (0xff >>> count);
  return at;
}
