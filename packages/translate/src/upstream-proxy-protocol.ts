import { create } from "@bufbuild/protobuf";
import type { Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { TransportSocketSchema, type TransportSocket } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ProxyProtocolConfig_Version as Version } from "@tulle/xds/gen/envoy/config/core/v3/proxy_protocol_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { packed } from "./messages.js";
import { rawBuffer } from "./tls.js";
import type { Transport } from "./transport.js";
import type { Translation } from "./translation.js";

/**
 * Lets connections of a cluster begin with a PROXY header that says who the client is (`trafficPolicy.proxyProtocol`).
 * Endpoints that are in the mesh get none: their sidecars know the client by its certificate.
 */
export function tellClient(
  t: Translation,
  cluster: Cluster,
  transport: Transport,
  version: "V1" | "V2",
): void {
  if (t.view.dialect === "grpc") {
    t.warn(`${cluster.name}: proxyless gRPC clients send no PROXY header`);
    return;
  }
  switch (transport.kind) {
    case "plaintext":
    case "originated":
      cluster.transportSocket = behindHeader(cluster.transportSocket ?? rawBuffer(), version);
      return;
    case "auto":
      for (const match of cluster.transportSocketMatches) {
        if (match.transportSocket !== undefined && Object.keys(match.match ?? {}).length === 0) {
          match.transportSocket = behindHeader(match.transportSocket, version);
        }
      }
      return;
    case "mesh":
    case "mesh-plaintext":
      t.warn(`${cluster.name}: trafficPolicy.proxyProtocol has no effect on endpoints that are in the mesh`);
  }
}

/** A transport socket whose connections begin with a PROXY header. */
export function behindHeader(transportSocket: TransportSocket, version: "V1" | "V2"): TransportSocket {
  return create(TransportSocketSchema, {
    name: "envoy.transport_sockets.upstream_proxy_protocol",
    configType: {
      case: "typedConfig",
      value: packed(ProxyProtocolUpstreamTransportSchema, {
        config: { version: Version[version] },
        transportSocket,
      }),
    },
  });
}
