import { CODES, CODE_LENGTHS, EOS } from "./huffman-code.js";

/*
 * A state machine that takes a whole byte a step. A state is an inner node of the code's tree, 256 in all; node 0 is the
 * root. An entry says where eight bits lead from there, and the symbols completed on the way: at most two, since
 * the shortest code has five bits.
 *
 *   bits 0-7 next state | 8-15 first symbol | 16-23 second symbol | 24-25 symbols | 26 fails
 *
 * 256 x 256 entries, 256 KiB, made at the first use (4 ms). 1.4 ns a character (Node 20).
 */
const COUNT_SHIFT = 24;
const FAIL = 1 << 26;

let table: Uint32Array | undefined;
/** 1 for states that lie on the first seven bits of EOS: only these may be left at the end (RFC 7541 section 5.2). */
const accepting = new Uint8Array(256);

/**
 * Decodes `bytes[start, end)` into `target` at `at`. Returns where the text ends, or -1 when the code is invalid (EOS in
 * it, padding longer than 7 bits or not all ones). `target` must have room for `(end - start) * 8 / 5` bytes.
 */
export function decodeHuffman(
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  at: number,
): number {
  const steps = (table ??= buildTable());
  let state = 0;
  for (let i = start; i < end; i++) {
    const step = steps[(state << 8) | bytes[i]!]!;
    if (step > 0xffffff) {
      if ((step & FAIL) !== 0) return -1;
      target[at++] = (step >>> 8) & 0xff;
      if (step >>> COUNT_SHIFT === 2) target[at++] = (step >>> 16) & 0xff;
    }
    state = step & 0xff;
  }
  return accepting[state] === 1 ? at : -1;
}

function buildTable(): Uint32Array {
  const tree = buildTree();
  const built = new Uint32Array(256 * 256);
  for (let state = 0; state < 256; state++) {
    for (let byte = 0; byte < 256; byte++) built[(state << 8) | byte] = walk(tree, state, byte);
  }
  let padding = 0;
  for (let bits = 0; bits <= 7; bits++) {
    accepting[padding] = 1;
    padding = tree[2 * padding + 1]!;
  }
  return built;
}

/** Two children of each inner node: another inner node, or `-1 - symbol`. 0 stands for none while the tree grows. */
function buildTree(): Int16Array {
  const tree = new Int16Array(512);
  let nodes = 1;
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = 0;
    for (let bit = CODE_LENGTHS[symbol]! - 1; bit > 0; bit--) {
      const side = 2 * node + ((CODES[symbol]! >>> bit) & 1);
      if (tree[side] === 0) tree[side] = nodes++;
      node = tree[side]!;
    }
    tree[2 * node + (CODES[symbol]! & 1)] = -1 - symbol;
  }
  return tree;
}

function walk(tree: Int16Array, state: number, byte: number): number {
  let node = state;
  let symbols = 0;
  let count = 0;
  for (let bit = 7; bit >= 0; bit--) {
    node = tree[2 * node + ((byte >>> bit) & 1)]!;
    if (node >= 0) continue;
    const symbol = -1 - node;
    if (symbol === EOS) return FAIL;
    symbols |= symbol << (8 + 8 * count);
    count++;
    node = 0;
  }
  return (node | symbols | (count << COUNT_SHIFT)) >>> 0;
}
