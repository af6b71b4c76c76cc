import { ProxyProtocolConfig_Version as Version } from "@tulle/xds/gen/envoy/config/core/v3/proxy_protocol_pb.js";
import { ClusterSchema } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { ProxyProtocolSchema } from "@tulle/xds/gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { RawBufferSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { CLUSTER_TYPE, LISTENER_TYPE } from "@tulle/xds";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { createLoadTable } from "../load/load-table.js";
import { change, packed } from "../testing/resources.js";
import { createSnapshotSource } from "./snapshot-source.js";

const RAW = { name: "raw", configType: { case: "typedConfig", value: packed(RawBufferSchema) } } as const;

function socket(init: MessageInitShape<typeof ProxyProtocolUpstreamTransportSchema>) {
  const value = packed(ProxyProtocolUpstreamTransportSchema, init);
  return { name: "proxy", configType: { case: "typedConfig", value } } as const;
}

function endpointOf(transportSocket: ReturnType<typeof socket> | typeof RAW) {
  const source = createSnapshotSource({ load: createLoadTable({ maxSlots: 16 }) });
  const address = {
    address: {
      case: "socketAddress",
      value: { address: "10.0.0.1", portSpecifier: { case: "portValue", value: 1 } },
    },
  } as const;
  const [rejection] = source.apply([
    change(CLUSTER_TYPE, "c", ClusterSchema, {
      name: "c",
      transportSocket,
      loadAssignment: {
        clusterName: "c",
        endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { address } } }] }],
      },
    }),
  ]);
  return rejection?.message ?? source.current.cluster("c")?.endpoints[0];
}

test("a cluster says with which PROXY header its connections begin", () => {
  expect(endpointOf(RAW)).toMatchObject({ proxyProtocol: undefined, tls: undefined });
  // V1 is the zero value.
  expect(endpointOf(socket({ transportSocket: RAW }))).toMatchObject({ proxyProtocol: 1, tls: undefined });
  expect(endpointOf(socket({ config: { version: Version.V2 } }))).toMatchObject({ proxyProtocol: 2 });
});

test("a cluster whose PROXY header could not be written as told is refused", () => {
  expect(endpointOf(socket({ config: { passThroughTlvs: {} } }))).toContain(
    "transport_socket.typed_config.config.pass_through_tlvs: is not supported",
  );
  expect(endpointOf(socket({ transportSocket: socket({}) }))).toContain(
    "must not be of the PROXY protocol again",
  );
});

function filterOf(init?: MessageInitShape<typeof ProxyProtocolSchema>, more = {}) {
  const source = createSnapshotSource({ load: createLoadTable({ maxSlots: 16 }) });
  const value = packed(TcpProxySchema, { clusterSpecifier: { case: "cluster", value: "c" } });
  const configType = init && ({ case: "typedConfig", value: packed(ProxyProtocolSchema, init) } as const);
  const [rejection] = source.apply([
    change(LISTENER_TYPE, "virtualInbound", ListenerSchema, {
      name: "virtualInbound",
      trafficDirection: TrafficDirection.INBOUND,
      listenerFilters: [
        { name: "envoy.filters.listener.tls_inspector" },
        { name: "envoy.filters.listener.proxy_protocol", ...(configType && { configType }), ...more },
      ],
      filterChains: [{ filters: [{ name: "tcp", configType: { case: "typedConfig", value } }] }],
    }),
  ]);
  return rejection?.message ?? source.current.inbound("virtualInbound")?.proxyProtocol;
}

test("a listener says what it makes of PROXY headers", () => {
  const all = { required: true, versions: [1, 2] };
  expect(filterOf()).toEqual(all);
  expect(filterOf({})).toEqual(all);
  expect(filterOf({ allowRequestsWithoutProxyProtocol: true })).toEqual({ ...all, required: false });
  expect(filterOf({ disallowedVersions: [Version.V1] })).toEqual({ ...all, versions: [2] });
  expect(filterOf({ disallowedVersions: [Version.V2] })).toEqual({ ...all, versions: [1] });
});

test("a listener's filter that could not be carried out is refused", () => {
  expect(filterOf({ passThroughTlvs: {} })).toContain(
    "listener_filters[1].typed_config.pass_through_tlvs: is not supported",
  );
  expect(filterOf({}, { filterDisabled: { rule: { case: "anyMatch", value: true } } })).toContain(
    "listener_filters[1].filter_disabled: is not supported",
  );
});
