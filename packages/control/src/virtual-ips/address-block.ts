/** The block that virtual IPs come from (240.240.0.0/16, Istio's), without addresses that end in 0 or 255. */
const PREFIX = "240.240";
const USABLE_PER_OCTET = 254;

/** How many addresses the block has. */
export const BLOCK_SIZE = 256 * USABLE_PER_OCTET;

/** The `index`-th address, counted round the block. */
export function blockAddress(index: number): string {
  const at = index % BLOCK_SIZE;
  return `${PREFIX}.${Math.floor(at / USABLE_PER_OCTET)}.${1 + (at % USABLE_PER_OCTET)}`;
}

/** Where the search for a host's address begins: the same host tends to get the same one, whoever allocates. FNV-1a. */
export function firstIndex(host: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < host.length; i++) hash = Math.imul(hash ^ host.charCodeAt(i), 0x01000193) >>> 0;
  return hash % BLOCK_SIZE;
}
