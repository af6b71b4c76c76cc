import { expect, test } from "vitest";
import { meshConfigKind } from "./kind.js";

const check = (spec: object, namespace = "istio-system") =>
  meshConfigKind.check({
    apiVersion: "tulle.dev/v1",
    kind: "MeshConfig",
    metadata: { name: "mesh", namespace },
    spec,
  } as never);
const GRPC = { service: "authz.default.svc.cluster.local", port: 9000 };
const one = (provider: object) => ({ extensionProviders: [{ name: "opa", ...provider }] });

test("takes Istio's providers of external authorization", () => {
  const full = {
    ...GRPC,
    service: "default/authz",
    timeout: "250ms",
    failOpen: true,
    statusOnError: "503",
    clearRouteCache: true,
    includeRequestBodyInCheck: { maxRequestBytes: 1024, allowPartialMessage: true, packAsBytes: true },
  };
  expect(check(one({ envoyExtAuthzGrpc: full })).ok).toBe(true);
  const http = {
    ...full,
    pathPrefix: "/check",
    includeRequestHeadersInCheck: ["x-user", "X-*", "*-id", "*"],
    includeAdditionalHeadersInCheck: { "x-mesh": "tulle" },
    headersToUpstreamOnAllow: ["authorization"],
    headersToDownstreamOnDeny: ["set-cookie"],
    headersToDownstreamOnAllow: ["set-cookie"],
  };
  expect(check(one({ envoyExtAuthzHttp: http })).ok).toBe(true);
  expect(check({}).ok).toBe(true);
});

test("takes Istio's TLS settings, and says of suites that nothing uses", () => {
  const tls = {
    minProtocolVersion: "TLSV1_2",
    ecdhCurves: ["X25519", "P-256", "P-384", "P-521"],
    cipherSuites: ["ECDHE-ECDSA-AES128-GCM-SHA256"],
  };
  expect(check({ meshMTLS: tls, tlsDefaults: tls })).toMatchObject({ ok: true, warnings: [] });
  const { cipherSuites } = tls;
  expect(check({ meshMTLS: { cipherSuites }, tlsDefaults: { cipherSuites } })).toMatchObject({
    ok: true,
    warnings: [expect.stringContaining("spec.meshMTLS.cipherSuites has no effect")],
  });
  expect(check({ meshMTLS: { minProtocolVersion: "TLSV1_2", ecdhCurves: ["X25519"] } })).toMatchObject({
    ok: true,
    warnings: [expect.stringContaining("spec.meshMTLS.ecdhCurves has no P-256")],
  });
  expect(check({ tlsDefaults: { cipherSuites, minProtocolVersion: "TLSV1_3" } })).toMatchObject({
    ok: true,
    warnings: [expect.stringContaining("spec.tlsDefaults.cipherSuites has no effect")],
  });
});

test("says that it counts in the root namespace only", () => {
  expect(check({})).toMatchObject({ ok: true, warnings: [] });
  expect(check({}, "default")).toMatchObject({ warnings: [expect.stringContaining("istio-system")] });
});

test.each([
  [one({}), "spec.extensionProviders[0]: must have exactly one of envoyExtAuthzGrpc, envoyExtAuthzHttp"],
  [one({ zipkin: {} }), "spec.extensionProviders[0].zipkin"],
  [one({ envoyExtAuthzGrpc: { port: 1 } }), "spec.extensionProviders[0].envoyExtAuthzGrpc.service"],
  [one({ envoyExtAuthzGrpc: { ...GRPC, service: "a/b/c" } }), 'expected a service such as "authz.'],
  [one({ envoyExtAuthzGrpc: { ...GRPC, service: "*.com" } }), 'expected a service such as "authz.'],
  [one({ envoyExtAuthzGrpc: { ...GRPC, statusOnError: "200" } }), "expected an HTTP error status"],
  [one({ envoyExtAuthzGrpc: { ...GRPC, timeout: "0s" } }), "expected a duration of at least 1ms"],
  [one({ envoyExtAuthzGrpc: { ...GRPC, pathPrefix: "/a" } }), "envoyExtAuthzGrpc.pathPrefix"],
  [one({ envoyExtAuthzHttp: { ...GRPC, pathPrefix: "/a?b" } }), 'expected a path such as "/check"'],
  [one({ envoyExtAuthzHttp: { ...GRPC, headersToUpstreamOnAllow: ["a b"] } }), "expected a header name"],
  [one({ envoyExtAuthzHttp: { ...GRPC, headersToUpstreamOnAllow: ["a*b"] } }), "expected a header name"],
  [
    {
      extensionProviders: [
        { name: "a", envoyExtAuthzGrpc: GRPC },
        { name: "a", envoyExtAuthzGrpc: GRPC },
      ],
    },
    "spec.extensionProviders[1].name: is the name of another provider already",
  ],
  [{ meshMTLS: { minProtocolVersion: "TLSV1_1" } }, "spec.meshMTLS.minProtocolVersion"],
  [{ meshMTLS: { ecdhCurves: ["P-224"] } }, "spec.meshMTLS.ecdhCurves[0]"],
  [{ tlsDefaults: { cipherSuites: ["RC4-MD5"] } }, "spec.tlsDefaults.cipherSuites[0]"],
  [{ tlsDefaults: { maxProtocolVersion: "TLSV1_3" } }, "spec.tlsDefaults.maxProtocolVersion"],
  [{ accessLogFile: "/dev/stdout" }, "spec.accessLogFile"],
])("refuses what it cannot carry out (#%#)", (spec, message) => {
  const checked = check(spec);
  const found = checked.ok ? [] : checked.violations.map(({ path, message: text }) => `${path}: ${text}`);
  expect(found.join("\n")).toContain(message);
});

test("warns of a protocol detection that waits for ever, and refuses what is no duration", () => {
  expect(check({ protocolDetectionTimeout: "0s" })).toMatchObject({
    ok: true,
    warnings: [expect.stringContaining("servers that speak first")],
  });
  expect(check({ protocolDetectionTimeout: "soon" })).toMatchObject({
    ok: false,
    violations: [{ path: "spec.protocolDetectionTimeout" }],
  });
});

test("takes Istio's defaults for calls, and refuses those that make no sense", () => {
  const defaults = {
    defaultTrafficPolicy: {
      connectionPool: { tcp: { maxConnections: 100 }, http: { http2MaxRequests: 10 } },
      outlierDetection: { consecutive5xxErrors: 3 },
    },
    connectTimeout: "2s",
    protocolDetectionTimeout: "200ms",
    defaultHttpRetryPolicy: { attempts: 3, retryOn: "503" },
    defaultInboundHttpRetryPolicy: {},
  };
  expect(check(defaults)).toMatchObject({ ok: true, warnings: [] });
  const paths = (spec: object) => {
    const checked = check(spec);
    return checked.ok ? [] : checked.violations.map(({ path }) => path);
  };
  expect(paths({ defaultTrafficPolicy: {} })).toEqual(["spec.defaultTrafficPolicy"]);
  expect(
    paths({ defaultTrafficPolicy: { loadBalancer: { simple: "RANDOM" } }, connectTimeout: "0s" }),
  ).toEqual(expect.arrayContaining(["spec.defaultTrafficPolicy.loadBalancer", "spec.connectTimeout"]));
  expect(paths({ defaultHttpRetryPolicy: { attempts: -1 } })).toEqual([
    "spec.defaultHttpRetryPolicy.attempts",
  ]);
});
