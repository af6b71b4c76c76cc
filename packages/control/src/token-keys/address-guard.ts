import { BlockList, isIP } from "node:net";

import { mayConnectFor, MeshError } from "@tulle/base";

export interface AddressGuardOptions {
  /** More blocks that are not asked. */
  readonly blocked: readonly string[];
  /** Blocks that are asked whatever else is said. */
  readonly allowed: readonly string[];
}

/**
 * Says which addresses the control plane asks for somebody's configuration: those of `mayConnectFor`, which are not this
 * machine's, and what its operator says. Blocks are written `10.0.0.0/8`. Errors: `invalid` CONTROL_BAD_CIDR.
 */
export class AddressGuard {
  readonly #blocked: BlockList;
  readonly #allowed: BlockList;

  constructor({ blocked, allowed }: AddressGuardOptions) {
    this.#blocked = blockList(blocked);
    this.#allowed = blockList(allowed);
  }

  allows(address: string): boolean {
    const version = isIP(address);
    if (version === 0) return false;
    const family = version === 6 ? "ipv6" : "ipv4";
    // A zone would make the address another one to the list.
    const plain = address.replace(/%.*$/, "");
    if (this.#allowed.check(plain, family)) return true;
    return mayConnectFor(plain, { loopback: false }) && !this.#blocked.check(plain, family);
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
