import { BlockList, isIP } from "node:net";

import { MeshError } from "@tulle/base";

/**
 * Addresses that nobody's configuration may have the control plane ask: itself, what is on its link (the metadata services of
 * clouds above all), what is no single host, and addresses that stand for others.
 */
const NEVER = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "192.0.0.192/32",
  "100.100.100.200/32",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "::/128",
  "::1/128",
  "64:ff9b::/96",
  "2002::/16",
  "fd00:ec2::254/128",
  "fe80::/10",
  "ff00::/8",
];

export interface AddressGuardOptions {
  /** More blocks that are not asked. */
  readonly blocked: readonly string[];
  /** Blocks that are asked whatever else is said. */
  readonly allowed: readonly string[];
}

/** Says which addresses may be asked. Blocks are written `10.0.0.0/8`. Errors: `invalid` CONTROL_BAD_CIDR. */
export class AddressGuard {
  readonly #blocked: BlockList;
  readonly #allowed: BlockList;

  constructor({ blocked, allowed }: AddressGuardOptions) {
    this.#blocked = blockList([...NEVER, ...blocked]);
    this.#allowed = blockList(allowed);
  }

  allows(address: string): boolean {
    const version = isIP(address);
    if (version === 0) return false;
    const family = version === 6 ? "ipv6" : "ipv4";
    // A zone would make the address another one to the list.
    const plain = address.replace(/%.*$/, "");
    return this.#allowed.check(plain, family) || !this.#blocked.check(plain, family);
  }
}

function blockList(blocks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const block of blocks) {
    const [address = "", bits = "", ...more] = block.split("/");
    const version = isIP(address);
    const length = /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
    if (version === 0 || more.length > 0 || length < 0 || length > (version === 6 ? 128 : 32)) {
      const message = `${JSON.stringify(block)} is no block of addresses: write it as 10.0.0.0/8`;
      throw new MeshError("invalid", "CONTROL_BAD_CIDR", message);
    }
    list.addSubnet(address, length, version === 6 ? "ipv6" : "ipv4");
  }
  return list;
}
