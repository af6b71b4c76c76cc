/**
 * FNV-1a, 64 bits, as 16 hexadecimal digits (RFC draft-eastlake-fnv). Names versions of resources: equal bytes, equal
 * version. Not for anything that an attacker gains from a collision of.
 */
export function hash64(bytes: Uint8Array): string {
  // The offset basis 0xcbf29ce484222325 in two halves. The prime is 2^40 + 0x1b3, so that a product needs no bigint:
  // every partial product stays below 2^53.
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  for (const byte of bytes) {
    low = (low ^ byte) >>> 0;
    const lowProduct = low * 0x1b3;
    const carry = Math.floor(lowProduct / 0x1_0000_0000);
    high = (high * 0x1b3 + ((low << 8) >>> 0) + carry) % 0x1_0000_0000;
    low = lowProduct >>> 0;
  }
  return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}
