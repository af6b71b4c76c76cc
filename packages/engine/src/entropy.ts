/**
 * Independent random-looking numbers out of one request's entropy.
 *
 * A request carries 32 bits; every decision that needs chance mixes them with a salt of its own. The salts come from
 * names (route, cluster), never from slots or addresses, so that a replay in another process decides the same; and
 * because they differ per decision, a request that drew the canary at one hop is not bound to draw it at the next,
 * although the request id is the same.
 */

/** FNV-1a, 32 bits, of a text's UTF-16 units: a salt from a name. */
export function saltOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

/** 32 unsigned bits from entropy and salt; every input bit moves every output bit (two rounds of a murmur3 finaliser). */
export function mix(entropy: number, salt: number): number {
  return avalanche(avalanche(entropy ^ 0x9e3779b9) + salt) >>> 0;
}

/** 32 bits of a request id's hash (FNV-1a): the entropy of its decisions, so that a replay decides the same way. */
export function entropyOf(requestId: string): number {
  let hash = saltOf(requestId);
  // One round of avalanche: FNV's low bits are weak for ids that differ at their end.
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  return hash >>> 0;
}

/** A number in [0, bound) from 32 random bits; no value is likelier than another by more than bound / 2^32. */
export function below(bits: number, bound: number): number {
  return Math.floor((bits / 0x1_0000_0000) * bound);
}

function avalanche(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
