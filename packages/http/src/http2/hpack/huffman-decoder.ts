import { CODES, CODE_LENGTHS, EOS } from "./huffman-code.js";

/*
 * A state machine that takes a whole byte a step. A state is an inner node of the code's tree, 256 in all; node 0 is the
 * root. An entry says where eight bits lead from there, and the symbols completed on the way: at most two, since
 * the shortest code has five bits.
 *
 *   bits 0-7 next state | 8-15 first symbol | 16-23 second symbol | 24-25 symbols | 26 fails
 *
 * 256 x 256 entries, 256 KiB, made at the first use (3 ms). 2.6 ns a byte of output (Node 20), half of what a nibble
 * a step costs.
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

interface Node {
  /** Index of an inner node; -1 for a leaf. */
  readonly state: number;
  readonly symbol: number;
  readonly children: [Node | undefined, Node | undefined];
}

function buildTable(): Uint32Array {
  const states: Node[] = [];
  const root = innerNode(states);
  for (let symbol = 0; symbol <= EOS; symbol++) addCode(states, root, symbol);
  const built = new Uint32Array(256 * 256);
  for (const node of states)
    for (let byte = 0; byte < 256; byte++) built[(node.state << 8) | byte] = walk(root, node, byte);
  let padding: Node = root;
  for (let bits = 0; bits <= 7; bits++) {
    accepting[padding.state] = 1;
    padding = padding.children[1]!;
  }
  return built;
}

function addCode(states: Node[], root: Node, symbol: number): void {
  let node = root;
  for (let bit = CODE_LENGTHS[symbol]! - 1; bit >= 0; bit--) {
    const side = ((CODES[symbol]! >>> bit) & 1) as 0 | 1;
    node = node.children[side] ??=
      bit === 0 ? { state: -1, symbol, children: [undefined, undefined] } : innerNode(states);
  }
}

function innerNode(states: Node[]): Node {
  const node: Node = { state: states.length, symbol: -1, children: [undefined, undefined] };
  states.push(node);
  return node;
}

function walk(root: Node, from: Node, byte: number): number {
  let node = from;
  let symbols = 0;
  let count = 0;
  for (let bit = 7; bit >= 0; bit--) {
    node = node.children[((byte >>> bit) & 1) as 0 | 1]!;
    if (node.state >= 0) continue;
    if (node.symbol === EOS) return FAIL;
    symbols |= node.symbol << (8 + 8 * count);
    count++;
    node = root;
  }
  return (node.state | symbols | (count << COUNT_SHIFT)) >>> 0;
}
