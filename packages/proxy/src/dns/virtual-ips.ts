import { networkInterfaces } from "node:os";

/** How virtual IPs begin, of either family: 240.240.0.0/16, and the same behind 2001:2::. */
const IPV4 = "240.240.";
const IPV6 = "2001:2::f0f0:";

/** Whether an address, as {@link plainAddress} writes it, is one that only the mesh gives to hosts. */
export function isVirtualIp(address: string): boolean {
  return address.startsWith(IPV4) || address.startsWith(IPV6);
}

/** The addresses of a host that applications on this machine can connect to: virtual ones of IPv6 only where it has IPv6. */
export function usableAddresses(
  addresses: readonly string[],
  hasIpv6: () => boolean = machineHasIpv6,
): readonly string[] {
  if (!addresses.some((address) => address.startsWith(IPV6)) || hasIpv6()) return addresses;
  return addresses.filter((address) => !address.startsWith(IPV6));
}

/** Whether it has an address of IPv6 that reaches beyond its link (RFC 4291, 2.5.6). */
function machineHasIpv6(): boolean {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .some(({ family, internal, address }) => family === "IPv6" && !internal && !/^fe[89ab]/i.test(address));
}
