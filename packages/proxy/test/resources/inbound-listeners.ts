import { type MessageInitShape, create } from "@bufbuild/protobuf";
import type { ResourceChange } from "@tulle/engine";
import { LISTENER_TYPE } from "@tulle/xds";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { ProxyProtocolSchema } from "@tulle/xds/gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js";
import { DownstreamTlsContextSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { TlsParams } from "./clusters.js";
import { httpFilter, tcpFilter } from "./filters.js";
import { ms, pack, resource } from "./message.js";

interface InboundOptions {
  readonly sni: string;
  readonly cluster: string;
  readonly permissive?: boolean;
  /** A listener filter for PROXY headers. */
  readonly proxyProtocol?: MessageInitShape<typeof ProxyProtocolSchema>;
  /** What mutual TLS is spoken with. */
  readonly tlsParams?: TlsParams;
}

export const SILENCE = ms(50);

/** The inbound listener: `filters` behind a mutual-TLS chain for `sni`, and behind a plaintext one when permissive. */
function inboundWith(
  filters: ReturnType<typeof tcpFilter>[],
  { sni, permissive, proxyProtocol, tlsParams }: InboundOptions,
): ResourceChange {
  const tls = pack(DownstreamTlsContextSchema, {
    requireClientCertificate: true,
    commonTlsContext: tlsParams === undefined ? {} : { tlsParams },
  });
  const chains: MessageInitShape<typeof ListenerSchema>["filterChains"] = [
    {
      name: "mtls",
      filterChainMatch: { transportProtocol: "tls", serverNames: [sni] },
      transportSocket: { name: "tls", configType: { case: "typedConfig", value: tls } },
      filters,
    },
  ];
  if (permissive === true) {
    chains.push({ name: "plaintext", filterChainMatch: { transportProtocol: "raw_buffer" }, filters });
  }
  const name = "virtualInbound";
  const message = create(ListenerSchema, {
    name,
    trafficDirection: TrafficDirection.INBOUND,
    filterChains: chains,
    listenerFilters:
      proxyProtocol === undefined
        ? []
        : [
            {
              name: "envoy.filters.listener.proxy_protocol",
              configType: { case: "typedConfig", value: pack(ProxyProtocolSchema, proxyProtocol) },
            },
          ],
  });
  return resource(LISTENER_TYPE, name, ListenerSchema, message);
}

/** The inbound listener that hands requests to `cluster`. */
export function inboundListener(options: InboundOptions): ResourceChange {
  return inboundWith([httpFilter(options.cluster)], options);
}

/** One filter chain of {@link inboundChains}. */
interface InboundChainInit {
  readonly transport: "tls" | "raw_buffer";
  /** Absent: any that no other chain names. 15006: the listener's own. */
  readonly destinationPort?: number;
  readonly serverNames?: string[];
  readonly carries: "http" | "tcp";
  readonly cluster: string;
}

/** The inbound listener of a workload that connections are redirected to. */
export function inboundChains(...inits: readonly InboundChainInit[]): ResourceChange {
  const tls = pack(DownstreamTlsContextSchema, { requireClientCertificate: true, commonTlsContext: {} });
  const name = "virtualInbound";
  const filterChains = inits.map(({ transport, carries, cluster, ...match }, index) => ({
    name: `chain ${index}`,
    filterChainMatch: { ...match, transportProtocol: transport },
    filters: [carries === "http" ? httpFilter(cluster) : tcpFilter(cluster)],
    ...(transport === "tls"
      ? { transportSocket: { name: "tls", configType: { case: "typedConfig" as const, value: tls } } }
      : {}),
  }));
  const address = {
    address: {
      case: "socketAddress" as const,
      value: { address: "0.0.0.0", portSpecifier: { case: "portValue" as const, value: 15_006 } },
    },
  };
  const init = { name, trafficDirection: TrafficDirection.INBOUND, address, filterChains };
  return resource(LISTENER_TYPE, name, ListenerSchema, create(ListenerSchema, init));
}

/** The inbound listener that hands bytes to `cluster`, behind `guards`. */
export function inboundTcpListener(
  options: InboundOptions & { readonly guards?: Parameters<typeof inboundWith>[0] },
): ResourceChange {
  return inboundWith([...(options.guards ?? []), tcpFilter(options.cluster)], options);
}

/** The inbound listener of a port that nobody says of what it carries; `guards`: of its bytes. */
export function inboundDetectedListener({
  sni,
  cluster,
  permissive,
  guards = [],
}: InboundOptions & { readonly guards?: Parameters<typeof inboundWith>[0] }): ResourceChange {
  const http = httpFilter(cluster);
  const transportSocket = {
    name: "tls",
    configType: {
      case: "typedConfig" as const,
      value: pack(DownstreamTlsContextSchema, { requireClientCertificate: true, commonTlsContext: {} }),
    },
  };
  const mtls = { transportProtocol: "tls", serverNames: [sni] };
  const plaintext = { transportProtocol: "raw_buffer" };
  const message = create(ListenerSchema, {
    name: "virtualInbound",
    trafficDirection: TrafficDirection.INBOUND,
    filterChains: [
      {
        name: "http",
        filterChainMatch: { ...mtls, applicationProtocols: ["h2", "http/1.1"] },
        transportSocket,
        filters: [http],
      },
      { name: "bytes", filterChainMatch: mtls, transportSocket, filters: [tcpFilter(cluster)] },
      ...(permissive === true
        ? [
            {
              name: "plaintext",
              filterChainMatch: { ...plaintext, applicationProtocols: ["http/1.1", "h2c"] },
              filters: [http],
            },
            { name: "plaintext-tcp", filterChainMatch: plaintext, filters: [...guards, tcpFilter(cluster)] },
          ]
        : []),
    ],
    listenerFiltersTimeout: SILENCE,
  });
  return resource(LISTENER_TYPE, "virtualInbound", ListenerSchema, message);
}
