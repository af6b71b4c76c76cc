import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { CLUSTER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { HttpProtocolOptionsSchema } from "@tulle/xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { expect, test } from "vitest";
import { CLIENT, cluster, GRPC_CLIENT, instance, made, mesh } from "../../testdata/mesh.js";

const REVIEWS = [instance({ service: "reviews", servicePort: 9080 })];
const HOST = "reviews.default.svc.cluster.local";

test("tulleDialect says nothing of faults and mirrors: its proxy carries them out", () => {
  const yaml = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - fault: {abort: {httpStatus: 500}}
    mirror: {host: reviews}
    route: [{destination: {host: reviews}}]
  - route: [{destination: {host: reviews}}]
`;
  expect(made(mesh(REVIEWS, yaml), CLIENT, ROUTE_TYPE, `${HOST}:9080`).warnings).toEqual([]);
});

test("tulleDialect leaves out headers with command operators that its proxy would refuse with all routes", () => {
  const yaml = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - headers: {request: {set: {x-from: "%ENVIRONMENT(A)%", x-peer: "%DOWNSTREAM_REMOTE_ADDRESS%", x-share: "100%%", x-plain: a}}}
    route: [{destination: {host: reviews}, headers: {response: {add: {x-up: "100% sure"}}}}]
`;
  const { warnings, resource } = made(mesh(REVIEWS, yaml), CLIENT, ROUTE_TYPE, `${HOST}:9080`);
  expect(warnings).toEqual([
    expect.stringContaining("x-up is left out"),
    expect.stringContaining("x-from is left out"),
  ]);
  const text = Buffer.from(resource.bytes).toString("latin1");
  expect(text).toContain("100%%");
  expect(text).toContain("x-plain");
  expect(text).toContain("x-peer");
  expect(text).not.toContain("x-from");
});

test("tulleDialect has endpoints ejected that cannot be reached, and never the last; what a rule says counts instead", () => {
  const at = `outbound|9080||${HOST}`;
  const { outlierDetection } = cluster(mesh(REVIEWS, ""), CLIENT, at);
  expect(outlierDetection).toMatchObject({
    splitExternalLocalOriginErrors: true,
    enforcingConsecutive5xx: 0,
    consecutiveLocalOriginFailure: 5,
    maxEjectionPercent: 99,
  });
  const yaml = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 7}}}
`;
  const ruled = cluster(mesh(REVIEWS, yaml), CLIENT, at).outlierDetection;
  expect([ruled?.consecutive5xx, ruled?.splitExternalLocalOriginErrors, ruled?.maxEjectionPercent]).toEqual([
    7,
    false,
    undefined,
  ]);
  expect(cluster(mesh(REVIEWS, ""), GRPC_CLIENT, at).outlierDetection).toBeUndefined();
});

test("what a DestinationRule says of HTTP/2 connections gets to sidecars, where HTTP/1.1 is HTTP/2, too", () => {
  const yaml = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy:
    connectionPool:
      tcp: {tcpKeepalive: {time: 300s, probes: 3, interval: 20s}}
      http: {maxConcurrentStreams: 7, http2KeepAlive: {interval: 10s}, idleTimeout: 5s}
`;
  const at = `outbound|9080||${HOST}`;
  expect(made(mesh(REVIEWS, yaml), CLIENT, CLUSTER_TYPE, at).warnings).toEqual([]);
  const { typedExtensionProtocolOptions, upstreamConnectionOptions } = cluster(
    mesh(REVIEWS, yaml),
    CLIENT,
    at,
  );
  expect(upstreamConnectionOptions?.tcpKeepalive).toMatchObject({
    keepaliveTime: 300,
    keepaliveProbes: 3,
    keepaliveInterval: 20,
  });
  const [packed] = Object.values(typedExtensionProtocolOptions);
  expect(anyUnpack(packed!, HttpProtocolOptionsSchema)).toMatchObject({
    commonHttpProtocolOptions: { idleTimeout: { seconds: 5n } },
    upstreamProtocolOptions: {
      case: "autoConfig",
      value: {
        http2ProtocolOptions: {
          maxConcurrentStreams: 7,
          connectionKeepalive: { interval: { seconds: 10n }, timeout: { seconds: 20n } },
        },
      },
    },
  });
});
