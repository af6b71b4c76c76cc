import { networkInterfaces } from "node:os";

import type { Clock, Disposable, DisposableStack, Logger } from "@tulle/base";
import type { SnapshotSource } from "@tulle/engine";

import type { GatewayPorts } from "../gateway/index.js";
import { listenInbound } from "../listener/inbound-listener.js";
import type { OutsideWays } from "../stream/contract.js";
import { listenOutbound, type HttpListener } from "../listener/outbound-listener.js";
import type { ListenTcp } from "../listener/tcp-listener.js";
import type { ProxyStack } from "../stack.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import type { WorkloadTls } from "../tls/workload-tls.js";
import type { Interceptors } from "./captured-traffic.js";
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
  readonly clock: Clock;
  readonly listen: ListenTcp;
  /** A request named this authority. */
  readonly onUse: (authority: string) => void;
  /** Connections may have been redirected to the outbound and inbound listeners. */
  readonly interceptors: Interceptors | undefined;
  /** Hosts outside of the mesh, for clients that use the outbound port as a proxy. */
  readonly outside: OutsideWays | undefined;
}

/** Where traffic arrives. */
export interface Listeners {
  /** In the order of the options. */
  readonly upstreams: readonly HttpListener[];
  /** Undefined for a gateway, as is `inbound`. */
  readonly outbound: HttpListener | undefined;
  /** The outbound listener for connections that were redirected over IPv6. */
  readonly outboundIpv6: HttpListener | undefined;
  readonly inbound: HttpListener | undefined;
  /** Ports that come and go with the configuration; undefined for a sidecar. */
  readonly gateway: GatewayPorts | undefined;
}

const DEFAULT_DRAIN_MS = 5000;

/** How long a sidecar may drain, milliseconds. */
export function drainMsOf({ drainMs = DEFAULT_DRAIN_MS }: TrafficOptions): number {
  return drainMs;
}

/** The ports that the options ask for. */
export function trafficPorts({ upstreams, ports = {} }: TrafficOptions): TrafficPorts {
  return { ...DEFAULT_PORTS, ...ports, upstreams: upstreams.map(({ localPort = 0 }) => localPort) };
}

/** Addresses that the listeners bind. */
export interface TrafficHosts {
  readonly local: string;
  /** Of the outbound listener, too: where the kernel redirects outgoing connections over IPv6. Undefined: nowhere. */
  readonly localIpv6: string | undefined;
  readonly inbound: string;
}

export function trafficHosts(options: TrafficOptions): TrafficHosts {
  const local = options.listenAddress ?? DEFAULT_HOST;
  return {
    local,
    localIpv6: options.intercept === true && local !== "::1" && hasIpv6() ? "::1" : undefined,
    inbound: inboundAddress(options),
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
    context.interceptors?.own.add(listener.tcp.address);
    owner.defer(() => {
      listener.stopAccepting();
      listener.connections.destroy();
    });
    return listener;
  };
  const outboundOn = async (
    name: string,
    port: number,
    authority: string,
    at = hosts.local,
    path?: string,
  ): Promise<HttpListener> =>
    own(
      await listenOutbound({
        name,
        host: at,
        port,
        path,
        authority,
        configuration,
        connection: stack.connection,
        tcp: stack.tcp,
        dropped,
        listen,
        onUse: context.onUse,
        outside: context.outside,
        interception: authority === "" ? context.interceptors?.outbound : undefined,
      }),
    );

  const upstreams: HttpListener[] = [];
  for (const [index, { authority, socketPath }] of options.upstreams.entries()) {
    const port = ports.upstreams[index] ?? 0;
    const name = `upstream ${authority}`;
    upstreams.push(await outboundOn(name, port, authority.toLowerCase(), hosts.local, socketPath));
  }
  if (options.gateway !== undefined) {
    const { GatewayPorts: Ports } = await import("../gateway/index.js");
    const gateway = new Ports({
      ...context,
      ...stack,
      gateway: options.gateway,
      host: options.inboundAddress,
      proxyProtocolFrom: options.proxyProtocolFrom,
      drainMs: drainMsOf(options),
      dropped,
    });
    owner.use(gateway);
    gateway.follow();
    return { upstreams, outbound: undefined, outboundIpv6: undefined, inbound: undefined, gateway };
  }
  const outbound = await outboundOn("outbound", ports.outbound, "");
  const outboundIpv6 =
    hosts.localIpv6 === undefined
      ? undefined
      : await outboundOn("outbound IPv6", outbound.tcp.address.port, "", hosts.localIpv6);
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
      interception: context.interceptors?.inbound,
      proxyProtocolFrom: options.proxyProtocolFrom,
    }),
  );
  owner.use(inbound);
  return { upstreams, outbound, outboundIpv6, inbound, gateway: undefined };
}

function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ family }) => family === "IPv6"),
  );
}

function inboundAddress({ inboundAddress: given, meshAddress, intercept }: TrafficOptions): string {
  if (given !== undefined) return given;
  if (meshAddress === undefined || intercept !== true) return meshAddress ?? DEFAULT_HOST;
  // Redirected connections come to whatever address the interface has that they arrived by.
  return hasIpv6() ? "::" : "0.0.0.0";
}
