/**
 * Minor version of the `HTTP/1.x` at `bytes[at]`: 0 or 1; -1 when the text is not of that form, -2 when it is but
 * names a version that is not spoken. Reads at most eight bytes.
 */
export function readMinorVersion(bytes: Buffer, at: number): number {
  if (
    bytes[at] !== 0x48 || // H
    bytes[at + 1] !== 0x54 || // T
    bytes[at + 2] !== 0x54 || // T
    bytes[at + 3] !== 0x50 || // P
    bytes[at + 4] !== 0x2f || // "/"
    bytes[at + 6] !== 0x2e // "."
  ) {
    return -1;
  }
  const major = bytes[at + 5]! - 0x30;
  const minor = bytes[at + 7]! - 0x30;
  if (!(major >= 0 && major <= 9 && minor >= 0 && minor <= 9)) return -1;
  return major === 1 && minor <= 1 ? minor : -2;
}
