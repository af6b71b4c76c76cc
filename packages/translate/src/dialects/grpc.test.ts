import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { CLUSTER_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { Cluster_LbPolicy } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { UpstreamTlsContextSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { expect, test } from "vitest";
import {
  addresses,
  apiManager,
  cluster,
  GRPC_CLIENT,
  instance,
  made,
  mesh,
  plainInstance,
  routesOf,
} from "../../testdata/mesh.js";
import { translate } from "../translate.js";

const HOST = "reviews.default.svc.cluster.local";
const NAME = `outbound|9080||${HOST}`;
const MTLS = { ...GRPC_CLIENT, mtls: true };

function server(host: string, meshed = false) {
  return (meshed ? instance : plainInstance)({
    service: "reviews",
    servicePort: 9080,
    protocol: "grpc",
    address: { host, port: 50_051 },
  });
}

function rules(http: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: ${http}}
`;
}

const TO_REVIEWS = "route: [{destination: {host: reviews}}]";

test("grpcDialect has faults and the router as its filters and logs nothing", () => {
  const { httpFilters, accessLog } = apiManager(mesh([server("10.0.0.1")]), GRPC_CLIENT, `${HOST}:9080`);
  expect(httpFilters.map(({ name }) => name)).toEqual([
    "envoy.filters.http.fault",
    "envoy.filters.http.router",
  ]);
  expect(accessLog).toEqual([]);
});

test("grpcDialect has no inbound side", () => {
  const view = {
    ...MTLS,
    inbound: [{ service: "reviews", namespace: "default", servicePort: 9080, appPort: 50_051 }],
  };
  const { reader } = mesh([server("10.0.0.1")]);
  expect(translate(reader, view, LISTENER_TYPE, "virtualInbound").resource).toBeUndefined();
  expect(translate(reader, view, CLUSTER_TYPE, `inbound|9080||${HOST}`).resource).toBeUndefined();
});

test("grpcRoute gives the timeout where gRPC looks for it and keeps its own retry conditions", () => {
  const yaml = rules(
    `[{timeout: 1.5s, retries: {attempts: 4, retryOn: "5xx,unavailable,internal"}, ${TO_REVIEWS}}, {${TO_REVIEWS}}]`,
  );
  const [first, second] = routesOf(mesh([server("10.0.0.1")], yaml), GRPC_CLIENT, `${HOST}:9080`);
  expect(first?.action.value).toMatchObject({
    maxStreamDuration: { maxStreamDuration: { seconds: 1n, nanos: 500_000_000 } },
    retryPolicy: { retryOn: "unavailable,internal", numRetries: 4, retryHostPredicate: [] },
  });
  expect(second?.action.value).toMatchObject({
    retryPolicy: { retryOn: "unavailable,cancelled", numRetries: 2 },
  });
  expect(first?.action.value).not.toHaveProperty("timeout");
  expect(second?.action.value).not.toHaveProperty("maxStreamDuration");
});

test("grpcRoute leads a rule that answers with an error to nobody, so that its calls fail", () => {
  const at = mesh([server("10.0.0.1")], rules(`[{directResponse: {status: 503}}, {${TO_REVIEWS}}]`));
  const [first, second] = routesOf(at, GRPC_CLIENT, `${HOST}:9080`);
  expect(first?.action.value).toMatchObject({ clusterSpecifier: { value: "outbound|1||::" } });
  expect(second?.name).toBe("reviews/http[1]");
  expect(addresses(at, GRPC_CLIENT, "outbound|1||::")).toEqual([]);
});

test.each([
  ["directResponse: {status: 204}", "redirects and direct responses"],
  ["redirect: {uri: /b}", "redirects and direct responses"],
  [`match: [{queryParams: {a: {exact: b}}}], ${TO_REVIEWS}`, "query parameters"],
  [`match: [{headers: {"@request.cookies.beta": {}}}], ${TO_REVIEWS}`, "conditions on cookies"],
])("grpcRoute leaves out a rule with %s", (rule, reason) => {
  const at = mesh([server("10.0.0.1")], rules(`[{${rule}}, {${TO_REVIEWS}}]`));
  expect(routesOf(at, GRPC_CLIENT, `${HOST}:9080`).map(({ name }) => name)).toEqual(["reviews/http[1]"]);
  expect(made(at, GRPC_CLIENT, ROUTE_TYPE, `${HOST}:9080`).warnings).toEqual([
    expect.stringContaining(reason),
  ]);
});

test("grpcRoute says what the client ignores", () => {
  const yaml = rules(`[{rewrite: {uri: /x}, headers: {request: {set: {a: b}}}, ${TO_REVIEWS}}]`);
  expect(made(mesh([server("10.0.0.1")], yaml), GRPC_CLIENT, ROUTE_TYPE, `${HOST}:9080`).warnings).toEqual([
    "route reviews/http[0]: proxyless gRPC clients ignore header operations, path rewriting",
  ]);
});

test("grpcDialect balances in turn whatever the mesh's default", () => {
  expect(cluster(mesh([server("10.0.0.1")]), GRPC_CLIENT, NAME).lbPolicy).toBe(Cluster_LbPolicy.ROUND_ROBIN);
});

test("grpcDialect lists IP addresses only, applications' own without certificates", () => {
  const at = mesh([server("10.0.0.1"), server("10.0.0.2", true), server("db.example"), server("fd00::1")]);
  expect(addresses(at, GRPC_CLIENT, NAME).sort()).toEqual([
    "10.0.0.1:50051",
    "10.0.0.2:50051",
    "fd00::1:50051",
  ]);
});

test("grpcDialect uses mutual TLS where a DestinationRule asks for it", () => {
  const yaml = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
`;
  const at = mesh([server("10.0.0.1", true), server("10.0.0.2")], yaml);
  const config = cluster(at, MTLS, NAME).transportSocket?.configType.value;
  const context = config && anyUnpack(config, UpstreamTlsContextSchema)?.commonTlsContext;
  expect(context).not.toHaveProperty("tlsParams");
  expect(context).toMatchObject({
    tlsCertificateProviderInstance: { instanceName: "default" },
    validationContextType: {
      case: "validationContext",
      value: {
        caCertificateProviderInstance: { instanceName: "default" },
        matchSubjectAltNames: [{ matchPattern: { value: "spiffe://cluster.local/ns/default/sa/reviews" } }],
      },
    },
  });
  expect(addresses(at, MTLS, NAME)).toEqual(["10.0.0.1:15006", "10.0.0.2:50051"]);
});

test("grpcDialect stays in the clear otherwise, and for clients without a certificate", () => {
  const servers = [server("10.0.0.1", true), server("10.0.0.2", true)];
  expect(cluster(mesh(servers), MTLS, NAME).transportSocket).toBeUndefined();
  expect(addresses(mesh(servers), MTLS, NAME)).toEqual(["10.0.0.1:50051", "10.0.0.2:50051"]);
  const yaml = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
`;
  expect(cluster(mesh(servers, yaml), GRPC_CLIENT, NAME).transportSocket).toBeUndefined();
  expect(made(mesh(servers, yaml), GRPC_CLIENT, CLUSTER_TYPE, NAME).warnings).toEqual([
    expect.stringContaining("has no mesh certificate"),
  ]);
});
