/** Grows to the longest text that was hashed, which the limits of a request's head bound. */
let scratch = new Uint8Array(256);

/** The bytes of a text whose characters stand for one byte each, as header values do. Lent until the next call. */
export function textBytes(text: string): Uint8Array {
  if (scratch.length < text.length) scratch = new Uint8Array(text.length * 2);
  for (let index = 0; index < text.length; index++) scratch[index] = text.charCodeAt(index);
  return scratch;
}
