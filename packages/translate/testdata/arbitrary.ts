import type {
  DestinationRuleSpec,
  HttpMatchRequest,
  HttpRoute,
  MeshObject,
  PeerAuthenticationSpec,
  ServiceEntrySpec,
  StringMatch,
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

/** A mesh of a few services under arbitrary configuration. */
export const arbitraryMesh: fc.Arbitrary<TestMesh> = fc
  .record({
    virtualServices: objects(NETWORKING, "VirtualService", virtualService),
    destinationRules: objects(NETWORKING, "DestinationRule", destinationRule),
    serviceEntries: objects(NETWORKING, "ServiceEntry", serviceEntry),
    peerAuthentications: objects("security.istio.io/v1", "PeerAuthentication", peerAuthentication),
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
