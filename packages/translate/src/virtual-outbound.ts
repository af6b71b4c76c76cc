import { create } from "@bufbuild/protobuf";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import {
  FilterChainSchema,
  FilterSchema,
} from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema, type Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { addressOf, packed } from "./messages.js";
import type { OutboundTrafficPolicy } from "./contract.js";
import { sidecarOf } from "./sidecar-scope.js";
import type { Translation } from "./translation.js";

/** Name of the listener that redirected connections come to (Istio's). */
export const VIRTUAL_OUTBOUND = "virtualOutbound";
/** Where Istio's binds; a sidecar binds where it was told to. */
const OUTBOUND_PORT = 15_001;

/**
 * Where redirected connections go whose destination the mesh does not know, in Istio's form: a TCP proxy to
 * `PassthroughCluster` (the original destination) or `BlackHoleCluster` (closed).
 */
export function virtualOutbound(t: Translation): Listener | undefined {
  if (t.view.dialect !== "tulle") return undefined;
  const policy = policyOf(t);
  const cluster = policy === "ALLOW_ANY" ? "PassthroughCluster" : "BlackHoleCluster";
  const proxy = packed(TcpProxySchema, {
    statPrefix: cluster,
    clusterSpecifier: { case: "cluster", value: cluster },
  });
  const filter = create(FilterSchema, {
    name: "envoy.filters.network.tcp_proxy",
    configType: { case: "typedConfig", value: proxy },
  });
  return create(ListenerSchema, {
    name: VIRTUAL_OUTBOUND,
    trafficDirection: TrafficDirection.OUTBOUND,
    address: addressOf("0.0.0.0", OUTBOUND_PORT),
    defaultFilterChain: create(FilterChainSchema, { name: cluster, filters: [filter] }),
  });
}

/** What the client's Sidecar says, else the mesh. A policy that names no mode is the strict one (Istio's). */
function policyOf(t: Translation): OutboundTrafficPolicy {
  const sidecar = sidecarOf(t);
  const own = sidecar?.spec.outboundTrafficPolicy;
  if (sidecar === undefined || own === undefined) return t.settings.outboundTrafficPolicy ?? "ALLOW_ANY";
  t.own(sidecar);
  return own.mode ?? "REGISTRY_ONLY";
}
