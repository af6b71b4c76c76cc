import type { Disposable, DisposableStack, Logger } from "@tulle/base";
import type { SnapshotSource } from "@tulle/engine";

import { metricsEndpoint } from "../admin/admin-endpoints.js";
import { serveEndpoints, type Endpoint, type LocalHttpServer } from "../admin/http-endpoints.js";
import type { DnsListener } from "../dns/dns-server.js";
import type { Interception } from "../listener/interception.js";
import { listenInbound } from "../listener/inbound-listener.js";
import { listenOutbound, type HttpListener } from "../listener/outbound-listener.js";
import type { SidecarOptions, SidecarPorts } from "../options.js";
import type { ProxyStack } from "../stack.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import type { WorkloadTls } from "../tls/workload-tls.js";

/** Istio's. */
const DEFAULT_PORTS: Required<Omit<SidecarPorts, "dns">> = {
  outbound: 15_001,
  inbound: 15_006,
  admin: 15_000,
  metrics: 15_020,
  readiness: 15_021,
};

/** What the listeners need of their sidecar. */
export interface ListenersContext {
  readonly options: SidecarOptions;
  readonly configuration: SnapshotSource;
  readonly stack: ProxyStack;
  readonly tls: WorkloadTls;
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
  readonly adminEndpoints: readonly Endpoint[];
  readonly readinessEndpoint: Endpoint;
  /** A request named this authority. */
  readonly onUse: (authority: string) => void;
  /** Opens the DNS listener; undefined: there is none. */
  readonly openDns: ((host: string) => Promise<DnsListener>) | undefined;
  /** Connections may have been redirected to the outbound listener. */
  readonly interception: Interception | undefined;
}

/** Everything that a sidecar listens on. */
export interface Listeners {
  /** In the order of the options. */
  readonly upstreams: readonly HttpListener[];
  readonly outbound: HttpListener;
  readonly inbound: HttpListener;
  readonly admin: LocalHttpServer;
  readonly metrics: LocalHttpServer;
  readonly readiness: LocalHttpServer;
  readonly dns: DnsListener | undefined;
}

/** Opens all listeners of a sidecar; each is closed by `owner`, also when a later one fails (`PROXY_LISTEN_FAILED`). */
export async function openListeners(context: ListenersContext, owner: DisposableStack): Promise<Listeners> {
  const { options, configuration, stack, metrics, logger } = context;
  const host = options.listenAddress ?? "127.0.0.1";
  const ports = { ...DEFAULT_PORTS, ...options.ports };
  const dropped = metrics
    .counter("envoy_listener_downstream_cx_overflow_total", "Connections refused because there are too many.")
    .with([]);

  const own = <T extends HttpListener>(listener: T): T => {
    owner.defer(() => {
      listener.stopAccepting();
      listener.connections.destroy();
    });
    return listener;
  };
  const outboundOn = async (name: string, port: number, authority: string): Promise<HttpListener> =>
    own(
      await listenOutbound({
        name,
        host,
        port,
        authority,
        configuration,
        connection: stack.connection,
        tcp: stack.tcp,
        dropped,
        onUse: context.onUse,
        interception: authority === "" ? context.interception : undefined,
      }),
    );
  const serve = async (
    name: string,
    port: number,
    endpoints: readonly Endpoint[],
  ): Promise<LocalHttpServer> => {
    const server = await serveEndpoints({ name, host, port, endpoints, logger });
    owner.defer(() => server.close());
    return server;
  };

  const upstreams: HttpListener[] = [];
  for (const { authority, localPort } of options.upstreams) {
    upstreams.push(await outboundOn(`upstream ${authority}`, localPort ?? 0, authority.toLowerCase()));
  }
  const outbound = await outboundOn("outbound", ports.outbound, "");
  const inbound: HttpListener & Disposable = own(
    await listenInbound({
      host: options.inboundAddress ?? "127.0.0.1",
      port: ports.inbound,
      configuration,
      tls: context.tls,
      connection: stack.connection,
      tcp: stack.tcp,
      logger,
      dropped,
      refused: metrics.counter("tulle_inbound_refused_total", "Inbound connections refused, by reason."),
    }),
  );
  owner.use(inbound);
  const admin = await serve("admin", ports.admin, context.adminEndpoints);
  const scraped = await serve("metrics", ports.metrics, [
    metricsEndpoint("/stats/prometheus", metrics),
    metricsEndpoint("/metrics", metrics),
    context.readinessEndpoint,
  ]);
  const readiness = await serve("readiness", ports.readiness, [context.readinessEndpoint]);
  const dns = await context.openDns?.(host);
  if (dns !== undefined) owner.use(dns);
  return { upstreams, outbound, inbound, admin, metrics: scraped, readiness, dns };
}
