/**
 * The IPv6 address that stands for the same host as a virtual IP: 2001:2::/48 (Istio's block, RFC 5180) with the IPv4
 * address in its last four bytes, in the shortest form. So one allocation gives both, whoever derives it.
 */
export function virtualIpv6(ip: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = ip.split(".").map(Number);
  return `2001:2::${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}
