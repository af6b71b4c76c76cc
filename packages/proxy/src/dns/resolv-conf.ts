import { isIP } from "node:net";

/** Where names that the mesh does not know are asked for. */
export interface SystemResolver {
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  /** Domains that the system appends to short names. */
  readonly search: readonly string[];
}

const DNS_PORT = 53;
/** As many as the C library reads. */
const MAX_SERVERS = 3;
const MAX_SEARCH = 32;

/** Reads `/etc/resolv.conf` (resolv.conf(5)): its nameservers and its search list, the last of several lists. Never throws. */
export function parseResolvConf(text: string): SystemResolver {
  const servers: { host: string; port: number }[] = [];
  let search: readonly string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    if (keyword === "nameserver" && servers.length < MAX_SERVERS) {
      const host = values[0] ?? "";
      // A zone (`fe80::1%eth0`) is part of an address here.
      if (isIP(host.replace(/%.*$/, "")) !== 0) servers.push({ host, port: DNS_PORT });
    } else if (keyword === "search" || keyword === "domain") {
      search = values.slice(0, MAX_SEARCH).map((domain) => domain.toLowerCase().replace(/^\.|\.$/g, ""));
    }
  }
  return { servers, search: search.filter((domain) => domain !== "") };
}
