import { MeshError } from "@tulle/base";
import { startDnsServer as startServer, type DnsServer, type DnsServerOptions } from "@tulle/dns/server";

export type { DnsServer, DnsServerOptions };

/**
 * Listens for DNS over UDP and TCP on one port.
 *
 * Throws `unavailable` CONTROL_DNS_LISTEN when the port cannot be had.
 */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  try {
    return await startServer(options);
  } catch (thrown) {
    throw new MeshError(
      "unavailable",
      "CONTROL_DNS_LISTEN",
      `DNS cannot listen on ${options.address} port ${options.port}: choose another --dns-port, or stop what uses it`,
      { cause: thrown },
    );
  }
}
