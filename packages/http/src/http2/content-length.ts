/**
 * Value of a content-length field, or -1 when it is not one plain decimal number below 2^53. No sign, no leading zero,
 * no list: peers read `010`, `+5` and `5, 5` in different ways.
 */
export function parseContentLength(value: string): number {
  const size = value.length;
  if (size === 0 || size > 16 || (size > 1 && value.charCodeAt(0) === 0x30)) return -1;
  let length = 0;
  for (let i = 0; i < size; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : -1;
}
