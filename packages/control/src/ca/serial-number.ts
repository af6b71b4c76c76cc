/** Gives `size` bytes that nobody can guess. */
export type RandomBytes = (size: number) => Uint8Array;

/**
 * A certificate's serial number in hexadecimal: 128 bits, the first two fixed so that it is positive and always of the
 * same length (RFC 5280 section 4.1.2.2), 126 of them random.
 */
export function serialNumber(randomBytes: RandomBytes): string {
  const bytes = Buffer.from(randomBytes(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}
