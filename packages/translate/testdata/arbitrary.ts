import type {
  DestinationRuleSpec,
  GRPCRouteSpec,
  HTTPRouteSpec,
  HttpMatchRequest,
  HttpRoute,
  MeshObject,
  PeerAuthenticationSpec,
  ServiceEntrySpec,
  ReferenceGrantSpec,
  StringMatch,
  TLSRouteSpec,
  VirtualServiceSpec,
} from "@tulle/api";
import fc from "fast-check";
import type { ClientView } from "../src/contract.js";
import { CLIENT, instance, mesh, SETTINGS, type TestMesh } from "./mesh.js";

// Small worlds with few names, so that objects meet each other.

const HOSTS = ["reviews", "ratings.default", "reviews.default.svc.cluster.local", "a.example", "nowhere"];
const host = fc.constantFrom(...HOSTS);
const pattern = fc.constantFrom(...HOSTS, "*.default.svc.cluster.local", "*.example");
const subset = fc.constantFrom("v1", "v2", "odd");
const duration = fc.constantFrom("100ms", "1s", "1.5s", "2m");
const percentage = fc.record({ value: fc.double({ min: 0, max: 100, noNaN: true }) });
const maybe = { requiredKeys: [] as [] };

const stringMatch: fc.Arbitrary<StringMatch> = fc.oneof(
  fc.record({ exact: fc.string({ maxLength: 5 }) }),
  fc.record({ prefix: fc.constantFrom("/", "/a", "x") }),
  fc.record({ regex: fc.constantFrom(".*", "a+", "(a)\\1", "(", "(?=a)b") }),
  fc.constant({}),
);
const valueMatch = stringMatch.filter((match) => Object.keys(match).length > 0);
const headers = fc.dictionary(fc.constantFrom("x-a", "version", "host"), stringMatch, { maxKeys: 2 });

const match: fc.Arbitrary<HttpMatchRequest> = fc.record(
  {
    name: fc.constant("m"),
    uri: valueMatch,
    method: valueMatch,
    headers,
    withoutHeaders: headers,
    queryParams: fc.dictionary(fc.constantFrom("q"), stringMatch, { maxKeys: 1 }),
    port: fc.constantFrom(9080, 80),
    ignoreUriCase: fc.boolean(),
    sourceLabels: fc.constant({ app: "web" }),
  },
  maybe,
);

const destination = fc.record(
  { host, subset, port: fc.constantFrom({ number: 9080 }, { number: 1 }) },
  { requiredKeys: ["host"] },
);
const manipulation = fc.record(
  {
    request: fc.constant({ set: { "x-b": "1", host: "h" }, add: { "x-a": "2" }, remove: ["x-c"] }),
    response: fc.constant({ add: { "x-d": "3" } }),
  },
  maybe,
);

const settings = {
  name: fc.constant("rule"),
  match: fc.array(match, { maxLength: 2 }),
  timeout: duration,
  retries: fc.record(
    {
      attempts: fc.nat({ max: 3 }),
      perTryTimeout: duration,
      retryOn: fc.constantFrom("5xx", "503,unavailable", "reset"),
      backoff: duration,
      retryIgnorePreviousHosts: fc.boolean(),
    },
    maybe,
  ),
  rewrite: fc.constantFrom(
    { uri: "/x" },
    { authority: "b" },
    { uriRegexRewrite: { match: "a(", rewrite: "b" } },
  ),
  mirrors: fc.array(fc.record({ destination, percentage }), { maxLength: 2 }),
  fault: fc.record({ delay: fc.record({ fixedDelay: duration, percentage }) }),
  corsPolicy: fc.record({ allowOrigins: fc.array(valueMatch, { maxLength: 2 }) }),
  headers: manipulation,
};
const forward = fc.record(
  {
    route: fc.array(fc.record({ destination, weight: fc.nat({ max: 100 }), headers: manipulation }), {
      minLength: 1,
      maxLength: 3,
    }),
    ...settings,
  },
  { requiredKeys: ["route"] },
);
const reply = fc.record(
  { directResponse: fc.record({ status: fc.constantFrom(200, 503) }), match: settings.match },
  { requiredKeys: ["directResponse"] },
);
const rule: fc.Arbitrary<HttpRoute> = fc.oneof({ weight: 4, arbitrary: forward }, reply);

const trafficPolicy = fc.record(
  {
    loadBalancer: fc.oneof(
      fc.record({ simple: fc.constantFrom("RANDOM", "ROUND_ROBIN", "LEAST_REQUEST", "PASSTHROUGH") }),
      fc.record({
        consistentHash: fc.constantFrom({ httpHeaderName: "x" }, { useSourceIp: true, maglev: {} }),
      }),
      fc.record({
        consistentHash: fc.constant({ useSourceIp: true, ringHash: { minimumRingSize: 9_000_000 } }),
      }),
    ),
    connectionPool: fc.constant({ tcp: { connectTimeout: "1s" }, http: { maxRequestsPerConnection: 1 } }),
    outlierDetection: fc.constant({ interval: "1s", maxEjectionPercent: 100 }),
    tls: fc.record({ mode: fc.constantFrom("DISABLE", "SIMPLE", "ISTIO_MUTUAL") }),
  },
  maybe,
);

const virtualService: fc.Arbitrary<VirtualServiceSpec> = fc.record({
  hosts: fc.array(pattern, { minLength: 1, maxLength: 2 }),
  http: fc.array(rule, { minLength: 1, maxLength: 3 }),
});
const destinationRule: fc.Arbitrary<DestinationRuleSpec> = fc.record(
  {
    host: pattern,
    trafficPolicy,
    subsets: fc.constant([{ name: "v1", labels: { version: "v1" } }]),
  },
  { requiredKeys: ["host"] },
) as fc.Arbitrary<DestinationRuleSpec>;
const serviceEntry: fc.Arbitrary<ServiceEntrySpec> = fc.record({
  hosts: fc.constantFrom(["a.example"], ["*.example"]),
  ports: fc.constant([{ number: 9080, name: "constructor", protocol: "HTTP" }]),
  resolution: fc.constantFrom("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"),
  endpoints: fc.array(
    fc.record({
      address: fc.constantFrom("192.0.2.1", "b.example", "unix:///s", "::1"),
      ports: fc.constantFrom({ http: 1 }, {}),
    }),
    {
      maxLength: 3,
    },
  ),
});
const peerAuthentication: fc.Arbitrary<PeerAuthenticationSpec> = fc.record({
  mtls: fc.record({ mode: fc.constantFrom("STRICT", "PERMISSIVE", "DISABLE", "UNSET") }),
});

const parentRefs = fc.array(
  fc.constantFrom(
    { group: "", kind: "Service", name: "reviews" },
    { group: "", kind: "Service", name: "ratings", port: 9080 },
    { group: "networking.istio.io", kind: "Hostname", name: "a.example" },
    { group: "networking.istio.io", kind: "ServiceEntry", name: "serviceentry-0" },
    { name: "edge" },
  ),
  { minLength: 1, maxLength: 2 },
);
const backendRefs = fc.array(
  fc.record(
    {
      name: fc.constantFrom("reviews", "ratings", "nobody"),
      namespace: fc.constantFrom("default", "other"),
      kind: fc.constantFrom("Service", "Bucket"),
      port: fc.constantFrom(9080, 1),
      weight: fc.nat({ max: 2 }),
    },
    { requiredKeys: ["name", "port"] },
  ),
  { maxLength: 3 },
);
const values = fc.constantFrom(
  [],
  [{ name: "x-a", value: "1" }],
  [{ type: "RegularExpression" as const, name: "x-a", value: "(" }],
);
const pathModifier = fc.constantFrom(
  { type: "ReplaceFullPath" as const, replaceFullPath: "/x" },
  { type: "ReplacePrefixMatch" as const, replacePrefixMatch: "/" },
);
const httpFilter = fc.oneof(
  fc.constant({
    type: "RequestHeaderModifier" as const,
    requestHeaderModifier: { set: [{ name: "x-b", value: "100%" }], remove: ["x-c"] },
  }),
  fc.record({
    type: fc.constant("URLRewrite" as const),
    urlRewrite: fc.record({ hostname: fc.constant("b.example"), path: pathModifier }, maybe),
  }),
  fc.record({
    type: fc.constant("RequestMirror" as const),
    requestMirror: fc.record({
      backendRef: fc.constantFrom({ name: "ratings", port: 9080 }, { name: "nobody", port: 1 }),
      percent: fc.integer({ min: 0, max: 100 }),
    }),
  }),
  fc.record({
    type: fc.constant("CORS" as const),
    cors: fc.constantFrom({}, { allowOrigins: ["https://*.example"], maxAge: 1 }),
  }),
  fc.constant({ type: "ExtensionRef" as const, extensionRef: { group: "a", kind: "F", name: "f" } }),
);
const httpRouteRule = fc.record(
  {
    matches: fc.array(
      fc.record(
        {
          path: fc.record({
            type: fc.constantFrom("Exact" as const, "PathPrefix" as const, "RegularExpression" as const),
            value: fc.constantFrom("/", "/a", "/a/"),
          }),
          headers: values,
          queryParams: values,
          method: fc.constant("GET"),
        },
        maybe,
      ),
      { maxLength: 2 },
    ),
    filters: fc.array(httpFilter, { maxLength: 2 }),
    backendRefs: backendRefs.chain((list) =>
      fc
        .array(fc.array(httpFilter, { maxLength: 1 }), { minLength: list.length, maxLength: list.length })
        .map((filters) => list.map((backend, index) => ({ ...backend, filters: filters[index] ?? [] }))),
    ),
    timeouts: fc.constantFrom({ request: "0s" }, { request: "2s", backendRequest: "1s" }),
    retry: fc.constantFrom({ attempts: 0 }, { codes: [503], attempts: 1, backoff: "10ms" }),
  },
  maybe,
);
const httpRoute: fc.Arbitrary<HTTPRouteSpec> = fc.record(
  { parentRefs, rules: fc.array(httpRouteRule, { minLength: 1, maxLength: 3 }) },
  { requiredKeys: ["parentRefs"] },
);
const grpcRoute: fc.Arbitrary<GRPCRouteSpec> = fc.record({
  parentRefs,
  rules: fc.array(
    fc.record({
      matches: fc.array(
        fc.record({
          method: fc.constantFrom({ service: "a.B" }, { method: "C" }, { service: "a.B", method: "C" }),
          headers: values,
        }),
        { maxLength: 2 },
      ),
      backendRefs,
    }),
    { maxLength: 2 },
  ),
});
const tlsRoute: fc.Arbitrary<TLSRouteSpec> = fc.record({
  parentRefs,
  hostnames: fc.constantFrom(["a.example"], ["*.example", "b.example"]),
  rules: fc.tuple(fc.record({ backendRefs })),
});
const referenceGrant: fc.Arbitrary<ReferenceGrantSpec> = fc.constant({
  from: [{ group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace: "other" }],
  to: [{ group: "", kind: "Service" }],
});

function objects<Spec>(
  apiVersion: string,
  kind: string,
  spec: fc.Arbitrary<Spec>,
): fc.Arbitrary<MeshObject[]> {
  return fc.array(spec, { maxLength: 2 }).map((specs) =>
    specs.map((one, index) => ({
      apiVersion,
      kind,
      metadata: {
        name: `${kind.toLowerCase()}-${index}`,
        namespace: "default",
        uid: "",
        resourceVersion: "1",
        generation: 1,
        creationTimestamp: "2026-01-01T00:00:00Z",
      },
      spec: one,
    })),
  );
}

const NETWORKING = "networking.istio.io/v1";
const GATEWAY_API = "gateway.networking.k8s.io/v1";

const gatewayApi: fc.Arbitrary<MeshObject[]> = fc
  .tuple(
    objects(GATEWAY_API, "HTTPRoute", httpRoute),
    objects(GATEWAY_API, "GRPCRoute", grpcRoute),
    objects(
      GATEWAY_API,
      "TCPRoute",
      tlsRoute.map(({ hostnames: _hostnames, ...spec }) => spec),
    ),
    objects(GATEWAY_API, "TLSRoute", tlsRoute),
    objects(GATEWAY_API, "ReferenceGrant", referenceGrant),
  )
  .map((lists) => lists.flat());

const meshWith = (more: fc.Arbitrary<MeshObject[]>): fc.Arbitrary<TestMesh> =>
  fc
    .record({
      virtualServices: objects(NETWORKING, "VirtualService", virtualService),
      destinationRules: objects(NETWORKING, "DestinationRule", destinationRule),
      serviceEntries: objects(NETWORKING, "ServiceEntry", serviceEntry),
      peerAuthentications: objects("security.istio.io/v1", "PeerAuthentication", peerAuthentication),
      more,
      instances: fc.array(
        fc.record({
          service: fc.constantFrom("reviews", "ratings"),
          version: fc.constantFrom("v1", "v2"),
          health: fc.constantFrom("passing" as const, "critical" as const),
          weight: fc.nat({ max: 3 }),
          protocol: fc.constantFrom(
            "http" as const,
            "grpc" as const,
            "tcp" as const,
            "tls" as const,
            "auto" as const,
          ),
          meshed: fc.boolean(),
          host: fc.constantFrom("10.0.0.1", "10.0.0.2", "db.example", "fd00::1"),
        }),
        { maxLength: 6 },
      ),
    })
    .map(({ instances, ...kinds }) => {
      const all = Object.values(kinds).flat();
      const registered = instances.map(({ meshed, host: address, ...init }, index) => {
        const made = instance({
          ...init,
          id: `node/${index}`,
          servicePort: 9080,
          address: { host: address, port: 8080 },
        });
        if (meshed) return made;
        const { meshAddress: _meshAddress, ...plain } = made;
        return plain;
      });
      const { reader } = mesh(registered);
      const settingsAndCatalog = { settings: SETTINGS, catalog: reader.catalog };
      return {
        reader: {
          ...settingsAndCatalog,
          objects: (_group, kind) => all.filter((object) => object.kind === kind),
        },
      };
    });

/** A mesh of a few services under arbitrary configuration of Istio's kinds. */
export const arbitraryMesh: fc.Arbitrary<TestMesh> = meshWith(fc.constant([]));

/** The same with routes of Gateway API, many of which lead nowhere. */
export const arbitraryRoutedMesh: fc.Arbitrary<TestMesh> = meshWith(gatewayApi);

/** Clients of either dialect, with inbound ports or without. */
export const arbitraryView: fc.Arbitrary<ClientView> = fc
  .record({
    dialect: fc.constantFrom("tulle" as const, "grpc" as const),
    mtls: fc.boolean(),
    inbound: fc.constantFrom(
      [],
      [{ service: "reviews", namespace: "default", servicePort: 9080, appPort: 8080 }],
    ),
  })
  .map((view) => ({ ...CLIENT, ...view }));
