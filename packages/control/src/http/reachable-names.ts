import { hostname, networkInterfaces } from "node:os";
import { isIP } from "node:net";

/** What a server may be called by. */
export interface ReachableNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** Names and addresses of a server on `address`: for every interface's when it listens on all, with those given. */
export function reachableNames(address: string, given: readonly string[]): ReachableNames {
  const own = isWildcard(address)
    ? [
        hostname().toLowerCase(),
        ...Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address: at }) => at)),
      ]
    : [address];
  const all = [...new Set([...given.map((name) => name.toLowerCase()), ...own])];
  return {
    dnsNames: all.filter((name) => isIP(name) === 0 && DNS_NAME.test(name)),
    // Scoped addresses (fe80::1%eth0) stand in no certificate.
    ipAddresses: all.filter((name) => isIP(name) !== 0 && !name.includes("%")),
  };
}

const DNS_NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;

/** Whether a server on `address` takes connections to all of the machine's addresses. */
export function isWildcard(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}
