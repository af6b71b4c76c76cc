import type { DisposableStack, Logger } from "@tulle/base";

import { metricsEndpoint } from "../admin/admin-endpoints.js";
import { serveEndpoints, type Endpoint, type LocalHttpServer } from "../admin/http-endpoints.js";
import type { DnsListener } from "../dns/dns-server.js";
import type { SidecarOptions } from "../options.js";
import { trafficHosts } from "./listeners.js";
import { localPorts } from "./local-ports.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";

/** What the servers need of their sidecar. */
export interface LocalServersContext {
  readonly options: SidecarOptions;
  /** The metrics of the moment. */
  readonly scrape: () => Promise<MetricsRegistry>;
  readonly logger: Logger;
  readonly adminEndpoints: readonly Endpoint[];
  readonly readinessEndpoint: Endpoint;
  /** Opens the DNS listeners; undefined: there are none. */
  readonly openDns: ((hosts: readonly string[]) => Promise<readonly DnsListener[]>) | undefined;
}

/** What a sidecar serves itself. */
export interface LocalServers {
  readonly admin: LocalHttpServer;
  readonly metrics: LocalHttpServer;
  readonly readiness: LocalHttpServer;
  /** One for each address of this machine that it is asked at; empty without DNS. */
  readonly dns: readonly DnsListener[];
}

/** Opens all servers of a sidecar; each is closed by `owner`, also when a later one fails (`PROXY_LISTEN_FAILED`). */
export async function openLocalServers(
  context: LocalServersContext,
  owner: DisposableStack,
): Promise<LocalServers> {
  const { options, scrape, logger, readinessEndpoint } = context;
  const { local: host, localIpv6 } = trafficHosts(options);
  const ports = localPorts(options);
  const serve = async (
    name: string,
    port: number,
    endpoints: readonly Endpoint[],
  ): Promise<LocalHttpServer> => {
    const inherited = options.inherited?.get(name);
    const server = await serveEndpoints({ name, host, port, endpoints, logger, inherited });
    owner.defer(() => server.close());
    return server;
  };
  const admin = await serve("admin", ports.admin, context.adminEndpoints);
  const metrics = await serve("metrics", ports.metrics, [
    metricsEndpoint("/stats/prometheus", scrape),
    metricsEndpoint("/metrics", scrape),
    readinessEndpoint,
  ]);
  const readiness = await serve("readiness", ports.readiness, [readinessEndpoint]);
  const dns = (await context.openDns?.(localIpv6 === undefined ? [host] : [host, localIpv6])) ?? [];
  for (const listener of dns) owner.use(listener);
  return { admin, metrics, readiness, dns };
}
