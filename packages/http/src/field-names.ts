import { copyOf, latin1Slice } from "./latin1.js";

/** What the codec itself acts on. Every other field name is `OTHER`. */
export const FieldKind = {
  OTHER: 0,
  CONTENT_LENGTH: 1,
  TRANSFER_ENCODING: 2,
  CONNECTION: 3,
  HOST: 4,
  EXPECT: 5,
  UPGRADE: 6,
  /** Spelt with `_` for `-`: a server behind us may take it for a framing field. Refused. */
  LOOKALIKE: 7,
} as const;

const KINDS = new Map<string, number>([
  ["content-length", FieldKind.CONTENT_LENGTH],
  ["transfer-encoding", FieldKind.TRANSFER_ENCODING],
  ["connection", FieldKind.CONNECTION],
  ["host", FieldKind.HOST],
  ["expect", FieldKind.EXPECT],
  ["upgrade", FieldKind.UPGRADE],
  ["content_length", FieldKind.LOOKALIKE],
  ["transfer_encoding", FieldKind.LOOKALIKE],
]);

const MAX_INTERNED_LENGTH = 64;
const MAX_LOWERED = 4096;

const lowered = new Map<string, string>();

/**
 * `raw` in lower case, the same string object for the same name: comparing two results is comparing two pointers.
 * The table holds at most 4,096 spellings of at most 64 characters and starts again when full, so that a peer which
 * invents names costs itself time and nobody memory.
 */
export function lowerName(raw: string): string {
  const known = lowered.get(raw);
  if (known !== undefined) return known;
  const lower = raw.toLowerCase();
  if (raw.length > MAX_INTERNED_LENGTH) return lower;
  if (lowered.size >= MAX_LOWERED) lowered.clear();
  // A name cut from a head keeps the whole head alive; what stays in a table must be a copy.
  const own = copyOf(lower);
  lowered.set(own, own);
  if (raw !== own) lowered.set(copyOf(raw), own);
  return own;
}

/**
 * Names as spelt on the wire, found by the hash of their bytes: a name seen before costs no allocation and no call
 * into the runtime. Two ways per set, the older one goes. The hash is simple, so a peer can provoke misses; a miss
 * costs one short string.
 */
const SLOTS = 1024;
const names: string[] = Array.from({ length: SLOTS }, () => "");
const kinds = new Uint8Array(SLOTS);

/**
 * Slot of the name in `bytes[start, end)`, whose bytes were hashed by `hash = hash * 31 + byte`; -1 when the name is
 * too long to be kept. Valid until the next call.
 */
export function internName(bytes: Buffer, start: number, end: number, hash: number): number {
  const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
  if (isSame(bytes, start, end, names[slot]!)) return slot;
  const other = slot ^ 1;
  if (isSame(bytes, start, end, names[other]!)) return other;
  if (end - start > MAX_INTERNED_LENGTH) return -1;
  const name = latin1Slice(bytes, start, end);
  names[other] = names[slot]!;
  kinds[other] = kinds[slot]!;
  names[slot] = name;
  kinds[slot] = KINDS.get(lowerName(name)) ?? FieldKind.OTHER;
  return slot;
}

/** The name in `slot`. */
export function internedName(slot: number): string {
  return names[slot]!;
}

/** The `FieldKind` of the name in `slot`. */
export function internedKind(slot: number): number {
  return kinds[slot]!;
}

/** Whether `bytes[start, end)` is `text` (Latin-1). */
export function isSame(bytes: Buffer, start: number, end: number, name: string): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}
