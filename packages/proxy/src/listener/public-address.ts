import { BlockList, isIP } from "node:net";

/**
 * What is not on the public internet (IANA's special-purpose registries, RFC 6890): this machine, private networks, links
 * (metadata services of clouds), what is nobody's or everybody's, and addresses that stand for others.
 */
const SPECIAL = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  // No network's: the host agent of every machine of Azure, which gives out its configuration and its secrets.
  "168.63.129.16/32",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
];
/** Of IPv6 all but the unicast block, and within it what is special. */
const UNICAST_IPV6 = "2000::/3";
const SPECIAL_IPV6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

const special = blockList([...SPECIAL, ...SPECIAL_IPV6]);
const unicastIpv6 = blockList([UNICAST_IPV6]);

/** Whether an IP address, as {@link plainAddress} writes it, is one of the public internet. */
export function isPublicAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 0) return false;
  if (version === 4) return !special.check(address, "ipv4");
  return unicastIpv6.check(address, "ipv6") && !special.check(address, "ipv6");
}

function blockList(blocks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const block of blocks) {
    const [address = "", bits = ""] = block.split("/");
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? "ipv6" : "ipv4");
  }
  return list;
}
