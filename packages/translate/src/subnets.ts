/** Addresses that have their first bits in common. */
interface Block {
  readonly bits: 32 | 128;
  readonly value: bigint;
  readonly length: number;
}

/** How a block of addresses lies to a subnet. */
export type Overlap = "inside" | "outside" | "partly";

/** Whether all of `address` (an address, or a block of them) is in `subnet` (the same); outside when either is neither. */
export function overlap(address: string, subnet: string): Overlap {
  const a = parseBlock(address);
  const b = parseBlock(subnet);
  if (a === undefined || b === undefined || a.bits !== b.bits) return "outside";
  const common = BigInt(a.bits - Math.min(a.length, b.length));
  if (a.value >> common !== b.value >> common) return "outside";
  return a.length >= b.length ? "inside" : "partly";
}

function parseBlock(text: string): Block | undefined {
  const [address = "", length, ...more] = text.split("/");
  if (more.length > 0) return undefined;
  const groups = address.includes(":") ? v6Groups(address) : v4Groups(address);
  if (groups === undefined) return undefined;
  const bits = groups.length === 4 ? 32 : 128;
  const width = groups.length === 4 ? 8n : 16n;
  let value = 0n;
  for (const group of groups) value = (value << width) | BigInt(group);
  const prefix = length === undefined ? bits : Number(length);
  return Number.isInteger(prefix) && prefix >= 0 && prefix <= bits
    ? { bits, value, length: prefix }
    : undefined;
}

function v4Groups(text: string): readonly number[] | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255))
    return undefined;
  return parts.map(Number);
}

function v6Groups(text: string): readonly number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const read = (half: string | undefined): (number | undefined)[] =>
    half === undefined || half === "" ? [] : half.split(":").flatMap(groupOf);
  const head = read(halves[0]);
  const tail = read(halves[1]);
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => 0), ...tail];
  return groups.every((group) => group !== undefined) ? groups : undefined;
}

/** A group of four hexadecimal digits, or the two that an IPv4 address at the end stands for. */
function groupOf(text: string): readonly (number | undefined)[] {
  if (text.includes(".")) {
    const [a, b, c, d] = v4Groups(text) ?? [];
    return a === undefined || b === undefined || c === undefined || d === undefined
      ? [undefined]
      : [a * 256 + b, c * 256 + d];
  }
  return [/^[0-9a-fA-F]{1,4}$/.test(text) ? Number.parseInt(text, 16) : undefined];
}
