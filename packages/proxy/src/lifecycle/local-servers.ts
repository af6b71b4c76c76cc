import type { DisposableStack, Logger } from "@tulle/base";

import { metricsEndpoint } from "../admin/admin-endpoints.js";
import { serveEndpoints, type Endpoint, type LocalHttpServer } from "../admin/http-endpoints.js";
import type { DnsListener } from "../dns/dns-server.js";
import type { SidecarOptions, SidecarPorts } from "../options.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";

/** Istio's. */
const DEFAULT_PORTS: Required<Pick<SidecarPorts, "admin" | "metrics" | "readiness">> = {
  admin: 15_000,
  metrics: 15_020,
  readiness: 15_021,
};

/** What the servers need of their sidecar. */
export interface LocalServersContext {
  readonly options: SidecarOptions;
  /** The metrics of the moment. */
  readonly scrape: () => Promise<MetricsRegistry>;
  readonly logger: Logger;
  readonly adminEndpoints: readonly Endpoint[];
  readonly readinessEndpoint: Endpoint;
  /** Opens the DNS listener; undefined: there is none. */
  readonly openDns: ((host: string) => Promise<DnsListener>) | undefined;
}

/** What a sidecar serves itself. */
export interface LocalServers {
  readonly admin: LocalHttpServer;
  readonly metrics: LocalHttpServer;
  readonly readiness: LocalHttpServer;
  readonly dns: DnsListener | undefined;
}

/** Opens all servers of a sidecar; each is closed by `owner`, also when a later one fails (`PROXY_LISTEN_FAILED`). */
export async function openLocalServers(
  context: LocalServersContext,
  owner: DisposableStack,
): Promise<LocalServers> {
  const { options, scrape, logger, readinessEndpoint } = context;
  const host = options.listenAddress ?? "127.0.0.1";
  const ports = { ...DEFAULT_PORTS, ...options.ports };
  const serve = async (
    name: string,
    port: number,
    endpoints: readonly Endpoint[],
  ): Promise<LocalHttpServer> => {
    const server = await serveEndpoints({ name, host, port, endpoints, logger });
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
  const dns = await context.openDns?.(host);
  if (dns !== undefined) owner.use(dns);
  return { admin, metrics, readiness, dns };
}
