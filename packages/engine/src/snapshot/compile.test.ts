import type { MessageInitShape } from "@bufbuild/protobuf";
import { LISTENER_TYPE, CLUSTER_TYPE } from "@tulle/xds";
import {
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_LbPolicy as LbPolicy,
  ClusterSchema,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { RoutingPriority, TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ClusterLoadAssignmentSchema } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import type { FilterChainSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { FileAccessLogSchema } from "@tulle/xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { CorsSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { RBACSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import type { HttpConnectionManagerSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { LeastRequestSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.js";
import { RingHashSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.js";
import { MaglevSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/maglev/v3/maglev_pb.js";
import { RoundRobinSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.js";
import { WrrLocalitySchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality_pb.js";
import { RawBufferSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import {
  SubjectAltNameMatcher_SanType as SanType,
  type TlsParametersSchema,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { HttpProtocolOptionsSchema } from "@tulle/xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { expect, test } from "vitest";
import type { ClusterPart, HttpChain, InboundListener } from "./contract.js";
import { createLoadTable } from "../load/load-table.js";
import { change, edsCluster, endpoints, manager, packed, ROUTER, routeTo } from "../testing/resources.js";
import type { ResourceChange } from "./contract.js";
import { createSnapshotSource } from "./snapshot-source.js";
import { MESH_PARAMETERS } from "./tls-parameters.js";

function compile(changes: readonly ResourceChange[]) {
  const source = createSnapshotSource({ load: createLoadTable() });
  return { messages: source.apply(changes).map(({ message }) => message), snapshot: source.current };
}

const REVIEWS = "outbound|9080|v1|reviews.default.svc.cluster.local";

function cluster(init: MessageInitShape<typeof ClusterSchema> = {}): ClusterPart {
  const { messages, snapshot } = compile([
    edsCluster(REVIEWS, init),
    endpoints(REVIEWS, [{ address: "10.0.0.1" }]),
  ]);
  expect(messages).toEqual([]);
  return snapshot.cluster(REVIEWS)!;
}

function refusal(init: MessageInitShape<typeof ClusterSchema>): string | undefined {
  return compile([edsCluster("c", init)]).messages[0];
}

function socket(typedConfig: ReturnType<typeof packed>) {
  return { name: "s", configType: { case: "typedConfig", value: typedConfig } } as const;
}

function meshTls(...ids: string[]) {
  const defaultValidationContext = {
    matchTypedSubjectAltNames: ids.map(
      (value) => ({ sanType: SanType.URI, matcher: { matchPattern: { case: "exact", value } } }) as const,
    ),
  };
  return socket(
    packed(UpstreamTlsContextSchema, {
      sni: "outbound_.9080_._.reviews",
      commonTlsContext: {
        alpnProtocols: ["http/1.1"],
        validationContextType: { case: "combinedValidationContext", value: { defaultValidationContext } },
      },
    }),
  );
}

test("a cluster has Envoy's defaults and the service, port and subset of its name", () => {
  expect(cluster()).toMatchObject({
    serviceHost: "reviews.default.svc.cluster.local",
    servicePort: 9080,
    subset: "v1",
    connectTimeoutMs: 5000,
    maxConnections: 1024,
    maxPendingRequests: 1024,
    maxRequests: 1024,
    maxRetries: 3,
    maxRequestsPerConnection: 0,
    originalDestination: false,
    warm: true,
  });
  const plain = compile([edsCluster("not istio's")]).snapshot.cluster("not istio's");
  expect(plain).toMatchObject({ serviceHost: "", servicePort: 0, subset: "" });
});

test("a cluster chooses plaintext or mutual TLS by an endpoint's metadata", () => {
  const meshed = {
    "envoy.transport_socket_match": { tlsMode: "istio" },
    istio: { workload: "reviews-v1;default;reviews;v1;Kubernetes" },
  };
  const { messages, snapshot } = compile([
    edsCluster("c", {
      transportSocketMatches: [
        { name: "mtls", match: { tlsMode: "istio" }, transportSocket: meshTls("spiffe://b", "spiffe://a") },
        { name: "plain", match: {}, transportSocket: socket(packed(RawBufferSchema)) },
      ],
    }),
    endpoints("c", [
      { address: "10.0.0.1", metadata: meshed },
      { address: "10.0.0.2" },
      { address: "10.0.0.3", metadata: meshed },
    ]),
  ]);
  expect(messages).toEqual([]);
  const [first, second, third] = snapshot.cluster("c")!.endpoints;
  expect(first!.tls).toMatchObject({
    sni: "outbound_.9080_._.reviews",
    alpn: ["http/1.1"],
    spiffeIds: new Set(["spiffe://a", "spiffe://b"]),
  });
  expect(first!.workload).toEqual({
    workload: "reviews-v1",
    namespace: "default",
    canonicalName: "reviews",
    canonicalRevision: "v1",
  });
  expect(second).toMatchObject({ tls: undefined, workload: undefined });
  expect(third!.tls).toBe(first!.tls);
});

test("explicit HTTP/2 is for the endpoints in plaintext: with TLS, ALPN chooses", () => {
  const http2 = packed(HttpProtocolOptionsSchema, {
    upstreamProtocolOptions: {
      case: "explicitHttpConfig",
      value: { protocolConfig: { case: "http2ProtocolOptions", value: {} } },
    },
  });
  const [plain, meshed] = compile([
    edsCluster("c", {
      typedExtensionProtocolOptions: { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2 },
      transportSocketMatches: [
        { name: "mtls", match: { tlsMode: "istio" }, transportSocket: meshTls("spiffe://a") },
      ],
    }),
    endpoints("c", [
      { address: "10.0.0.1" },
      {
        address: "10.0.0.2",
        metadata: { "envoy.transport_socket_match": { tlsMode: "istio" } },
      },
    ]),
  ]).snapshot.cluster("c")!.endpoints;
  expect(plain).toMatchObject({ tls: undefined, http2: true });
  expect(meshed).toMatchObject({ tls: { alpn: ["http/1.1"] }, http2: false });
  expect(cluster().endpoints[0]!.http2).toBe(false);
});

test("a cluster without SPIFFE ids in its TLS context is refused", () => {
  expect(refusal({ transportSocket: meshTls() })).toContain(
    "transport_socket.typed_config: the validation context must name the peer's SPIFFE ids",
  );
});

test("a static cluster brings its endpoints, and one of original destinations has none", () => {
  const assignment = {
    clusterName: "x",
    endpoints: [
      {
        lbEndpoints: [
          {
            hostIdentifier: {
              case: "endpoint",
              value: {
                address: {
                  address: {
                    case: "socketAddress",
                    value: { address: "::1", portSpecifier: { case: "portValue", value: 80 } },
                  },
                },
              },
            },
          },
        ],
      },
    ],
  } satisfies MessageInitShape<typeof ClusterLoadAssignmentSchema>;
  const init = (type: DiscoveryType) =>
    ({ name: "x", clusterDiscoveryType: { case: "type", value: type } }) as const;
  const fixed = compile([
    change(CLUSTER_TYPE, "x", ClusterSchema, { ...init(DiscoveryType.STATIC), loadAssignment: assignment }),
  ]);
  expect(fixed.snapshot.cluster("x")).toMatchObject({
    warm: true,
    endpoints: [{ key: "[::1]:80", host: "::1", port: 80, healthy: true }],
  });
  const passing = compile([
    change(CLUSTER_TYPE, "x", ClusterSchema, {
      ...init(DiscoveryType.ORIGINAL_DST),
      lbPolicy: LbPolicy.CLUSTER_PROVIDED,
    }),
  ]);
  expect(passing.snapshot.cluster("x")).toMatchObject({
    warm: true,
    endpoints: [],
    originalDestination: true,
  });
});

test("a cluster takes the first policy of its list that is known", () => {
  const list = (...configs: ReturnType<typeof packed>[]) => ({
    lbPolicy: LbPolicy.LOAD_BALANCING_POLICY_CONFIG,
    loadBalancingPolicy: {
      policies: configs.map((typedConfig) => ({ typedExtensionConfig: { name: "p", typedConfig } })),
    },
  });
  const robin = packed(RoundRobinSchema);
  const foreign = packed(RawBufferSchema);
  expect(refusal(list(foreign, robin))).toBeUndefined();
  const inner = { policies: [{ typedExtensionConfig: { name: "p", typedConfig: robin } }] };
  expect(refusal(list(packed(WrrLocalitySchema, { endpointPickingPolicy: inner })))).toBeUndefined();
  expect(refusal(list(foreign))).toContain(
    "load_balancing_policy.policies: none is known here (envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer)",
  );
  expect(refusal(list(packed(MaglevSchema)))).toBeUndefined();
  expect(refusal({ lbPolicy: LbPolicy.RING_HASH })).toBeUndefined();
});

test.each([
  [packed(MaglevSchema, { tableSize: 65_536n }), "table_size: must be a prime number up to 5000011"],
  [packed(RingHashSchema, { minimumRingSize: 0n }), "minimum_ring_size: must be between 1 and 8388608"],
  [packed(RingHashSchema, { maximumRingSize: 7n }), "maximum_ring_size: must be between minimum_ring_size"],
  [packed(MaglevSchema, { consistentHashingLbConfig: { hashBalanceFactor: 99 } }), "must be at least 100"],
  [packed(LeastRequestSchema, { choiceCount: 1 }), "choice_count: must be at least 2"],
  [
    packed(RoundRobinSchema, { slowStartConfig: { slowStartWindow: { seconds: -1n } } }),
    "slow_start_config.slow_start_window: a duration must not be negative",
  ],
])("a policy with settings that make no sense is refused by field", (typedConfig, message) => {
  const policies = [{ typedExtensionConfig: { name: "p", typedConfig } }];
  const lbPolicy = LbPolicy.LOAD_BALANCING_POLICY_CONFIG;
  expect(refusal({ lbPolicy, loadBalancingPolicy: { policies } })).toContain(message);
});

test("endpoints without a usable address are refused by field", () => {
  const assignment = (address: string, port: number) =>
    compile([endpoints("c", [{ address: "10.0.0.1" }, { address, port }])]).messages[0];
  expect(assignment("", 80)).toContain(
    "endpoints[1].lb_endpoints[0].endpoint.address.socket_address.address",
  );
  expect(assignment("10.0.0.2", 0)).toContain(
    "endpoints[1].lb_endpoints[0].endpoint.address.socket_address.port_value: must be between 1 and 65535",
  );
  const pipe = { address: { address: { case: "pipe", value: { path: "/x" } } } } as const;
  const init = {
    clusterName: "c",
    endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: pipe } }] }],
  } satisfies MessageInitShape<typeof ClusterLoadAssignmentSchema>;
  expect(
    compile([change(endpoints("c", []).typeUrl, "c", ClusterLoadAssignmentSchema, init)]).messages[0],
  ).toContain("must be a socket_address");
});

test("a static cluster may have a Unix socket, whose path fits an address", () => {
  const staticTo = (path: string) =>
    compile([
      change(CLUSTER_TYPE, "c", ClusterSchema, {
        name: "c",
        clusterDiscoveryType: { case: "type", value: DiscoveryType.STATIC },
        loadAssignment: {
          clusterName: "c",
          endpoints: [
            {
              lbEndpoints: [
                {
                  hostIdentifier: {
                    case: "endpoint",
                    value: { address: { address: { case: "pipe", value: { path } } } },
                  },
                },
              ],
            },
          ],
        },
      }),
    ]);
  for (const path of ["/run/app.sock", "@abstract"])
    expect(staticTo(path).snapshot.cluster("c")?.endpoints[0]).toMatchObject({
      key: path,
      host: path,
      port: 0,
      hostname: "",
    });
  for (const path of ["", "run/app.sock", "/", "/a\0b", `/${"x".repeat(107)}`])
    expect(staticTo(path).messages[0], path).toContain("pipe.path: must be an absolute path");
});

const INLINE = {
  routeSpecifier: {
    case: "routeConfig",
    value: { virtualHosts: [{ name: "v", domains: ["*"], routes: [routeTo("c")] }] },
  },
} satisfies MessageInitShape<typeof HttpConnectionManagerSchema>;
type ChainInit = MessageInitShape<typeof FilterChainSchema>;

function chain(init: ChainInit = {}, http = manager(INLINE)): ChainInit {
  return {
    filters: [{ name: "http", configType: { case: "typedConfig", value: http } }],
    ...(init as object),
  };
}

function listener(filterChains: ChainInit[]) {
  const { messages, snapshot } = compile([
    change(LISTENER_TYPE, "virtualInbound", ListenerSchema, {
      name: "virtualInbound",
      trafficDirection: TrafficDirection.INBOUND,
      filterChains,
    }),
  ]);
  return {
    message: messages[0],
    inbound: snapshot.inbound("virtualInbound"),
    outbound: snapshot.outbound("virtualInbound"),
  };
}

function serverTls(
  requireClientCertificate: boolean,
  prefix = "spiffe://cluster.local/",
  tlsParams: MessageInitShape<typeof TlsParametersSchema> = {},
) {
  const defaultValidationContext = {
    matchTypedSubjectAltNames: [
      { sanType: SanType.URI, matcher: { matchPattern: { case: "prefix", value: prefix } } } as const,
    ],
  };
  const commonTlsContext = {
    tlsParams,
    validationContextType: { case: "combinedValidationContext", value: { defaultValidationContext } },
  } as const;
  return socket(packed(DownstreamTlsContextSchema, { requireClientCertificate, commonTlsContext }));
}

test("an inbound listener has a chain per filter chain, with its SNI, transport and trust domains", () => {
  const { inbound, outbound, message } = listener([
    chain({
      name: "mtls",
      filterChainMatch: { transportProtocol: "tls", serverNames: ["Outbound_.80_._.x"] },
      transportSocket: serverTls(true),
    }),
    chain({ filterChainMatch: { transportProtocol: "raw_buffer" } }),
  ]);
  expect(message).toBeUndefined();
  expect(outbound).toBeNull();
  const expected: InboundListener = {
    name: "virtualInbound",
    warm: false,
    direction: "inbound",
    port: 0,
    addresses: [],
    proxyProtocol: undefined,
    silenceMs: 1000,
    meshTls: MESH_PARAMETERS,
    chains: [
      {
        name: "mtls",
        destinationPort: undefined,
        isDefault: false,
        serverNames: ["outbound_.80_._.x"],
        applicationProtocols: [],
        transport: "mtls",
        trustDomains: ["cluster.local"],
        tls: undefined,
        http: expect.objectContaining({ direction: "inbound", name: "virtualInbound" }) as HttpChain,
        tcp: undefined,
      },
      {
        name: "filter_chains[1]",
        destinationPort: undefined,
        isDefault: false,
        serverNames: [],
        applicationProtocols: [],
        transport: "plaintext",
        trustDomains: [],
        tls: undefined,
        http: expect.objectContaining({ warm: false }) as HttpChain,
        tcp: undefined,
      },
    ],
  };
  expect(inbound).toEqual(expected);
});

test.each([
  [[], "filter_chains: must not be empty"],
  [[chain({ filters: [] })], "filter_chains[0].filters: must be an HttpConnectionManager, or a TcpProxy"],
  [
    [chain({ filterChainMatch: { sourcePorts: [80] } })],
    "filter_chains[0].filter_chain_match.source_ports: is not supported",
  ],
  [
    [chain({ filterChainMatch: { transportProtocol: "tls" } })],
    "filter_chains[0].filter_chain_match.transport_protocol",
  ],
  [
    [chain({ transportSocket: serverTls(false) })],
    "filter_chains[0].transport_socket.typed_config.require_client_certificate: must be true",
  ],
  [
    [chain({ transportSocket: serverTls(true, "spiffe://") })],
    "match_typed_subject_alt_names[0]: must be of san_type URI",
  ],
  [
    [
      chain({ transportSocket: serverTls(true) }),
      chain({ transportSocket: serverTls(true, undefined, { ecdhCurves: ["P-256"] }) }),
    ],
    "filter_chains[1].transport_socket: must have the tls_params of the listener's other chains",
  ],
  [
    [chain({ transportSocket: serverTls(true, undefined, { cipherSuites: ["RC4-MD5"] }) })],
    "common_tls_context.tls_params.cipher_suites: RC4-MD5 is not known",
  ],
  [
    [chain({ transportSocket: serverTls(true, undefined, { ecdhCurves: ["P-224"] }) })],
    "common_tls_context.tls_params.ecdh_curves: P-224 is not known",
  ],
  [
    [chain({}, packed(RBACSchema))],
    "filter_chains[0].filters[0].typed_config: is a envoy.extensions.filters.http.rbac.v3.RBAC",
  ],
] as [ChainInit[], string][])(
  "a listener that cannot be carried out is refused by field (#%#)",
  (chains, message) => {
    expect(listener(chains).message).toContain(message);
  },
);

test("a listener takes filters that are inert, optional or disabled, and no others before the router", () => {
  const filter = (name: string, value: ReturnType<typeof packed>, more = {}) =>
    ({ name, configType: { case: "typedConfig", value }, ...more }) as const;
  const message = (...httpFilters: ReturnType<typeof filter>[]) =>
    listener([chain({}, manager({ ...INLINE, httpFilters }))]).message;
  const unknown = { ...packed(CorsSchema), typeUrl: "type.googleapis.com/example.Guard" };
  expect(
    message(filter("cors", packed(CorsSchema)), filter("guard", unknown, { isOptional: true }), ROUTER),
  ).toBeUndefined();
  expect(message(filter("guard", unknown, { disabled: true }), ROUTER)).toBeUndefined();
  expect(message(filter("guard", unknown), ROUTER)).toContain(
    'http_filters[0]: filter "guard" (example.Guard) is not supported',
  );
  expect(message(filter("guard", unknown))).toContain(
    "http_filters: must end with a envoy.extensions.filters.http.router.v3.Router",
  );
});

test("a listener says the format of its file access log", () => {
  const format = (accessLogFormat: MessageInitShape<typeof FileAccessLogSchema>["accessLogFormat"]) => {
    const log = {
      name: "file",
      configType: {
        case: "typedConfig",
        value: packed(FileAccessLogSchema, {
          path: "/dev/stdout",
          ...(accessLogFormat && { accessLogFormat }),
        }),
      },
    } as const;
    return listener([chain({}, manager({ ...INLINE, accessLog: [log] }))]).inbound!.chains[0]!.http!
      .accessLogFormat;
  };
  expect(format(undefined)).toContain("%RESPONSE_FLAGS%");
  expect(
    format({ case: "logFormat", value: { format: { case: "textFormat", value: "%DURATION%\n" } } }),
  ).toBe("%DURATION%\n");
  expect(format({ case: "jsonFormat", value: { took: "%DURATION%" } })).toBe('{"took":"%DURATION%"}\n');
  expect(listener([chain()]).inbound!.chains[0]!.http!.accessLogFormat).toBeUndefined();
});

test("compile reads Envoy's path settings as one of Istio's modes, or refuses them", () => {
  const mode = (init: MessageInitShape<typeof HttpConnectionManagerSchema>): string => {
    const { message, inbound } = listener([chain({}, manager({ ...INLINE, ...init }))]);
    return message ?? inbound!.chains[0]!.http!.pathNormalization;
  };
  expect(mode({})).toBe("NONE");
  expect(mode({ normalizePath: true })).toBe("BASE");
  expect(mode({ normalizePath: true, mergeSlashes: true })).toBe("MERGE_SLASHES");
  const unescape = { pathWithEscapedSlashesAction: 4 } as const;
  expect(mode({ normalizePath: true, mergeSlashes: true, ...unescape })).toBe("DECODE_AND_MERGE_SLASHES");
  expect(mode({ mergeSlashes: true })).toContain("normalize_path");
  expect(mode({ normalizePath: true, pathWithEscapedSlashesAction: 2 })).toContain(
    "path_with_escaped_slashes_action",
  );
});

test("limits of client connections are Envoy's fields, and a time of 0 sets none", () => {
  const limits = (init: MessageInitShape<typeof HttpConnectionManagerSchema>) =>
    listener([chain({}, manager({ ...INLINE, ...init }))]).inbound!.chains[0]!.http!.limits;
  expect(limits({})).toBeUndefined();
  expect(
    limits({ commonHttpProtocolOptions: { idleTimeout: {} }, requestHeadersTimeout: {} }),
  ).toBeUndefined();
  expect(
    limits({
      maxRequestHeadersKb: 16,
      requestHeadersTimeout: { seconds: 5n },
      commonHttpProtocolOptions: {
        maxHeadersCount: 50,
        idleTimeout: { seconds: 60n },
        maxConnectionDuration: { seconds: 600n },
      },
      delayedCloseTimeout: {},
      http2ProtocolOptions: {
        maxConcurrentStreams: 100,
        initialStreamWindowSize: 65_536,
        initialConnectionWindowSize: 1_048_576,
        hpackTableSize: 0,
        maxOutboundFrames: 1000,
        maxOutboundControlFrames: 100,
        maxConsecutiveInboundFramesWithEmptyPayload: 3,
        maxInboundPriorityFramesPerStream: 10,
        maxInboundWindowUpdateFramesPerDataFrameSent: 20,
      },
    }),
  ).toEqual({
    "connection.headerTimeoutMs": 5000,
    "connection.idleTimeoutMs": 60_000,
    "connection.maxDurationMs": 600_000,
    "connection.delayedCloseMs": 0,
    "http1.maxHeadBytes": 16_384,
    "http1.maxHeaderCount": 50,
    "http2.maxHeaderListBytes": 16_384,
    "http2.maxHeaderCount": 50,
    "http2.headerTimeoutMs": 5000,
    "http2.maxConcurrentStreams": 100,
    "http2.streamWindowBytes": 65_536,
    "http2.connectionWindowBytes": 1_048_576,
    "http2.headerTableBytes": 0,
    "http2.maxPendingFrames": 1000,
    "http2.maxPendingControlFrames": 100,
    "http2.maxEmptyFrames": 3,
    "http2.maxPriorityFramesPerStream": 10,
    "http2.maxWindowUpdatesPerDataFrame": 20,
  });
  const buffered = change(LISTENER_TYPE, "virtualInbound", ListenerSchema, {
    name: "virtualInbound",
    trafficDirection: TrafficDirection.INBOUND,
    perConnectionBufferLimitBytes: 32_768,
    filterChains: [chain({}, manager(INLINE))],
  });
  expect(compile([buffered]).snapshot.inbound("virtualInbound")?.chains[0]?.http?.limits).toEqual({
    "connection.maxBufferedBytes": 32_768,
  });
});

test("a cluster has limits of an endpoint's connections and of its pools, in both priorities", () => {
  const limited = cluster({
    circuitBreakers: {
      thresholds: [{ maxConnectionPools: 7, trackRemaining: true }, { priority: RoutingPriority.HIGH }],
      perHostThresholds: [{ maxConnections: 2 }, { priority: RoutingPriority.HIGH, maxConnections: 3 }],
    },
  });
  expect(limited).toMatchObject({ maxConnectionsPerHost: 2, pools: { max: 7 }, tracksRemaining: true });
  expect(limited.high).toMatchObject({ maxConnectionsPerHost: 3, tracksRemaining: false });
  expect(limited.high?.pools).toBeUndefined();
  const refused = edsCluster("c", { circuitBreakers: { perHostThresholds: [{ maxRequests: 1 }] } });
  expect(compile([refused]).messages).toEqual([
    expect.stringContaining("circuit_breakers.per_host_thresholds[0].max_requests: is not supported"),
  ]);
});
