import type { Disposable, DisposableStack, Logger } from "@tulle/base";
import type { SnapshotSource } from "@tulle/engine";

import type { Interception } from "../listener/interception.js";
import { listenInbound } from "../listener/inbound-listener.js";
import { listenOutbound, type HttpListener } from "../listener/outbound-listener.js";
import type { ListenTcp } from "../listener/tcp-listener.js";
import type { ProxyStack } from "../stack.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import type { WorkloadTls } from "../tls/workload-tls.js";
import type { TrafficOptions, TrafficPorts } from "./traffic.js";

/** Istio's. */
const DEFAULT_PORTS = { outbound: 15_001, inbound: 15_006 };
const DEFAULT_HOST = "127.0.0.1";

/** What the listeners need of their sidecar. */
export interface ListenersContext {
  readonly options: TrafficOptions;
  readonly ports: TrafficPorts;
  readonly configuration: SnapshotSource;
  readonly stack: ProxyStack;
  readonly tls: WorkloadTls;
  readonly metrics: MetricsRegistry;
  readonly logger: Logger;
  readonly listen: ListenTcp;
  /** A request named this authority. */
  readonly onUse: (authority: string) => void;
  /** Connections may have been redirected to the outbound listener. */
  readonly interception: Interception | undefined;
}

/** Where traffic arrives. */
export interface Listeners {
  /** In the order of the options. */
  readonly upstreams: readonly HttpListener[];
  readonly outbound: HttpListener;
  readonly inbound: HttpListener;
}

/** The ports that the options ask for. */
export function trafficPorts({ upstreams, ports = {} }: TrafficOptions): TrafficPorts {
  return { ...DEFAULT_PORTS, ...ports, upstreams: upstreams.map(({ localPort = 0 }) => localPort) };
}

/** Addresses that the listeners bind. */
export function trafficHosts(options: TrafficOptions): { readonly local: string; readonly inbound: string } {
  return {
    local: options.listenAddress ?? DEFAULT_HOST,
    inbound: options.inboundAddress ?? DEFAULT_HOST,
  };
}

/** Opens the listeners for traffic; each is closed by `owner`, also when a later one fails (`PROXY_LISTEN_FAILED`). */
export async function openListeners(context: ListenersContext, owner: DisposableStack): Promise<Listeners> {
  const { options, ports, configuration, stack, metrics, logger, listen } = context;
  const hosts = trafficHosts(options);
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
        host: hosts.local,
        port,
        authority,
        configuration,
        connection: stack.connection,
        tcp: stack.tcp,
        dropped,
        listen,
        onUse: context.onUse,
        interception: authority === "" ? context.interception : undefined,
      }),
    );

  const upstreams: HttpListener[] = [];
  for (const [index, { authority }] of options.upstreams.entries()) {
    const port = ports.upstreams[index] ?? 0;
    upstreams.push(await outboundOn(`upstream ${authority}`, port, authority.toLowerCase()));
  }
  const outbound = await outboundOn("outbound", ports.outbound, "");
  const inbound: HttpListener & Disposable = own(
    await listenInbound({
      host: hosts.inbound,
      port: ports.inbound,
      configuration,
      tls: context.tls,
      connection: stack.connection,
      tcp: stack.tcp,
      logger,
      dropped,
      listen,
      refused: metrics.counter("tulle_inbound_refused_total", "Inbound connections refused, by reason."),
    }),
  );
  owner.use(inbound);
  return { upstreams, outbound, inbound };
}
