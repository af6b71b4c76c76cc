import {
  ProxyProtocolConfig_Version as Version,
  ProxyProtocolPassThroughTLVs_PassTLVsMatchType as Match,
} from "@tulle/xds/gen/envoy/config/core/v3/proxy_protocol_pb.js";
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

test("a cluster says which TLVs its headers have", () => {
  const config = {
    version: Version.V2,
    passThroughTlvs: { matchType: Match.INCLUDE, tlvType: [2, 0xea] },
    addedTlvs: [{ type: 0xe0, value: Buffer.from("zone-a") }],
  };
  expect(endpointOf(socket({ config }))).toMatchObject({
    proxyTlvs: {
      passed: new Set([2, 0xea]),
      added: [{ type: 0xe0, value: Uint8Array.from(Buffer.from("zone-a")) }],
    },
  });
  expect(endpointOf(socket({ config: { version: Version.V2, passThroughTlvs: {} } }))).toMatchObject({
    proxyTlvs: { passed: "all", added: [] },
  });
  expect(endpointOf(socket({ config: { version: Version.V2 } }))).toMatchObject({ proxyTlvs: undefined });
});

test("a cluster whose PROXY header could not be written as told is refused", () => {
  const config = { version: Version.V2 };
  const here = "transport_socket.typed_config.config";
  expect(endpointOf(socket({ config: { passThroughTlvs: {} } }))).toContain(
    `${here}.version: must be V2: V1 has no TLVs`,
  );
  expect(
    endpointOf(
      socket({ config: { ...config, passThroughTlvs: { matchType: Match.INCLUDE, tlvType: [256] } } }),
    ),
  ).toContain(`${here}.pass_through_tlvs.tlv_type[0]: must be 255 at most`);
  for (const [tlv, refusal] of [
    [{ type: 256, value: Buffer.from("a") }, "type: must be 255 at most"],
    [{ type: 3, value: Buffer.from("abcd") }, "type: 3 cannot be added"],
    [{ type: 4, value: Buffer.from("a") }, "type: 4 cannot be added"],
    [{ type: 2 }, "value: must have one byte at least"],
  ] as const) {
    expect(endpointOf(socket({ config: { ...config, addedTlvs: [tlv] } }))).toContain(
      `${here}.added_tlvs[0].${refusal}`,
    );
  }
  const large = { type: 0xe0, value: Buffer.alloc(2100) };
  expect(endpointOf(socket({ config: { ...config, addedTlvs: [large, large] } }))).toContain(
    `${here}.added_tlvs: must have 4096 bytes at most`,
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
  expect(filterOf({ passThroughTlvs: {} })).toEqual({ ...all, passedTlvs: "all" });
  expect(filterOf({ passThroughTlvs: { matchType: Match.INCLUDE, tlvType: [2] } })).toEqual({
    ...all,
    passedTlvs: new Set([2]),
  });
});

test("a listener's filter that could not be carried out is refused", () => {
  expect(filterOf({ passThroughTlvs: { matchType: Match.INCLUDE, tlvType: [1, 300] } })).toContain(
    "listener_filters[1].typed_config.pass_through_tlvs.tlv_type[1]: must be 255 at most",
  );
  expect(filterOf({}, { filterDisabled: { rule: { case: "anyMatch", value: true } } })).toContain(
    "listener_filters[1].filter_disabled: is not supported",
  );
});
