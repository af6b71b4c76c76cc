import { ANALYSIS_CODES, type Finding } from "@tulle/api";
import { expect, test } from "vitest";
import { instance, mesh } from "../../testdata/mesh.js";
import { analyze } from "./analyze.js";

const REVIEWS = [
  instance({ service: "reviews", version: "v1", servicePort: 9080 }),
  instance({ service: "reviews", version: "v2", servicePort: 9080 }),
];

const GROUPS: Readonly<Record<string, string>> = {
  AuthorizationPolicy: "security.istio.io",
  PeerAuthentication: "security.istio.io",
  HealthCheck: "tulle.dev",
  MeshConfig: "tulle.dev",
  TrafficPolicy: "tulle.dev",
  RateLimit: "tulle.dev",
};

function object(kind: string, name: string, spec: string, metadata = ""): string {
  const group = GROUPS[kind] ?? "networking.istio.io";
  return `---\napiVersion: ${group}/v1\nkind: ${kind}\nmetadata: {name: ${name}${metadata}}\nspec: {${spec}}\n`;
}

const vs = (name: string, spec: string, metadata = "") => object("VirtualService", name, spec, metadata);
const dr = (name: string, spec: string, metadata = "") => object("DestinationRule", name, spec, metadata);
const se = (name: string, spec: string, metadata = "") => object("ServiceEntry", name, spec, metadata);
const check = (name: string, spec: string) => object("HealthCheck", name, `${spec}, tcp: {}`);
const limit = (name: string, spec: string) =>
  object("RateLimit", name, `${spec}limits: [{requests: 1, interval: 1s}]`);
const TO = "route: [{destination: {host: reviews}}]";
const toSubset = (subset: string) => `route: [{destination: {host: reviews, subset: ${subset}}}]`;

function found(yaml: string, { live = true, instances = REVIEWS } = {}): readonly Finding[] {
  return analyze(mesh(instances, yaml).reader, { live });
}

/** `IST0101 default/reviews spec.http[0]`, sorted; without what only depends on how far proxies are. */
function brief(yaml: string, options = {}): readonly string[] {
  return found(yaml, options)
    .filter(({ code, path }) => code !== "TUL0001" || path !== "" || yaml.includes("tunnel"))
    .map(
      ({ code, object: { namespace, name }, path }) =>
        `${code} ${namespace}/${name}${path === "" ? "" : ` ${path}`}`,
    )
    .sort();
}

const ALLOWED = ", annotations: {tulle.dev/allow-conflict: 'true'}";

// One wrong thing each, and what is said of it.
const CASES: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "checks that are right",
    check("a", "host: reviews, port: 9080, subset: v1") + check("b", "host: '*'"),
    [],
  ],
  [
    "annotations of our own that are right",
    vs(
      "a",
      `hosts: [reviews], http: [{${TO}}]`,
      ", annotations: {tulle.dev/fault-reset: '0', tulle.dev/split: hash, tulle.dev/hedge-after: 1s, tulle.dev/hedge-max: '1', tulle.dev/priority: high, tulle.dev/retry-non-idempotent: 'true'}",
    ) +
      dr(
        "r",
        "host: reviews",
        ", annotations: {tulle.dev/load-balancer: PEAK_EWMA, tulle.dev/hash-balance-factor: '120', tulle.dev/subset-fallback: ANY_ENDPOINT}",
      ),
    [],
  ],
  ["a check of an unknown service", check("a", "host: nowhere"), ["IST0101 default/a spec.host"]],
  [
    "a check of an unknown port and subset",
    check("a", "host: reviews, port: 1, subset: v3"),
    ["IST0101 default/a spec.port", "IST0101 default/a spec.subset"],
  ],
  [
    "two checks of the same endpoints",
    check("a", "host: reviews") +
      check("b", "host: reviews.default.svc.cluster.local") +
      check("c", "host: reviews, port: 9080"),
    ["TUL0006 default/a spec.host", "TUL0006 default/b spec.host"],
  ],
  [
    "limits that are right",
    limit("a", "host: reviews, ") + limit("b", "host: reviews, ") + limit("c", ""),
    [],
  ],
  [
    "policies that add up, and two that say the same",
    object("TrafficPolicy", "a", "host: reviews, hedging: {after: 1s}, loadBalancer: PEAK_EWMA") +
      object("TrafficPolicy", "b", "host: reviews.default, retries: {nonIdempotent: true}") +
      object("TrafficPolicy", "c", "host: reviews.default, loadBalancer: PEAK_EWMA") +
      object("TrafficPolicy", "d", "host: reviews, port: 9080, loadBalancer: PEAK_EWMA"),
    ["TUL0006 default/a spec.loadBalancer", "TUL0006 default/c spec.loadBalancer"],
  ],
  [
    "MeshConfigs that add up, and two that say the same",
    object("MeshConfig", "a", "meshMTLS: {minProtocolVersion: TLSV1_2}") +
      object("MeshConfig", "b", "tlsDefaults: {minProtocolVersion: TLSV1_3}") +
      object("MeshConfig", "c", "meshMTLS: {minProtocolVersion: TLSV1_3}"),
    ["TUL0006 default/a spec.meshMTLS", "TUL0006 default/c spec.meshMTLS"],
  ],
  [
    "a policy of an unknown port",
    object("TrafficPolicy", "a", "host: reviews, port: 1, hedging: {after: 1s}"),
    ["IST0101 default/a spec.port"],
  ],
  [
    "a policy for a host of gateways' routes",
    object("TrafficPolicy", "a", "host: www.example.com, hedging: {after: 1s}") +
      vs("a", `hosts: [www.example.com], gateways: [edge], http: [{${TO}}]`),
    ["IST0101 default/a spec.gateways[0]"],
  ],
  ["a limit of an unknown service", limit("a", "host: nowhere, "), ["IST0101 default/a spec.host"]],
  [
    "a limit for nobody",
    limit("a", "selector: {matchLabels: {app: nobody}}, "),
    ["IST0127 default/a spec.selector"],
  ],
  ["a route that is right", vs("a", `hosts: [reviews], http: [{${TO}}]`), []],
  [
    "an unknown destination",
    vs("a", "hosts: [reviews], http: [{route: [{destination: {host: nowhere}}]}]"),
    ["IST0101 default/a spec.http[0].route[0].destination.host"],
  ],
  [
    "an unknown mirror",
    vs(
      "a",
      `hosts: [reviews], http: [{${TO}, mirrors: [{destination: {host: nowhere}, percentage: {value: 0}}]}]`,
    ),
    ["IST0101 default/a spec.http[0].mirrors[0].destination.host"],
  ],
  [
    "an unknown port",
    vs("a", "hosts: [reviews], http: [{route: [{destination: {host: reviews, port: {number: 1}}}]}]"),
    ["IST0101 default/a spec.http[0].route[0].destination.port.number"],
  ],
  [
    "an undeclared subset without instances",
    vs("a", `hosts: [reviews], http: [{${toSubset("v3")}}]`),
    ["IST0101 default/a spec.http[0].route[0].destination.subset"],
  ],
  [
    "an undeclared subset with instances",
    vs("a", `hosts: [reviews], http: [{${toSubset("v1")}}]`),
    ["TUL0002 default/a spec.http[0].route[0].destination.subset"],
  ],
  [
    "a declared subset",
    vs("a", `hosts: [reviews], http: [{${toSubset("one")}}]`) +
      dr("r", "host: reviews, subsets: [{name: one, labels: {version: v1}}]"),
    [],
  ],
  [
    "a missing delegate",
    vs("a", "hosts: [reviews], http: [{delegate: {name: b}}]"),
    ["IST0101 default/a spec.http[0].delegate"],
  ],
  [
    "a delegate that is not exported",
    vs("a", "hosts: [reviews], http: [{delegate: {name: b, namespace: shop}}]") +
      vs("b", `exportTo: ["."], http: [{${TO}}]`, ", namespace: shop"),
    ["IST0101 default/a spec.http[0].delegate", "IST0101 shop/b spec.http[0].route[0].destination.host"],
  ],
  [
    "a delegate with hosts",
    vs("a", "hosts: [reviews], http: [{delegate: {name: b}}]") +
      vs("b", `hosts: [b.example], http: [{${TO}}]`),
    ["TUL0005 default/a spec.http[0].delegate"],
  ],
  [
    "two objects for one host",
    vs("a", `hosts: [reviews], http: [{${TO}}]`) +
      vs("b", `hosts: [reviews.default.svc.cluster.local], http: [{${TO}}]`),
    ["IST0109 default/a spec.hosts[0]", "IST0109 default/b spec.hosts[0]"],
  ],
  [
    "two objects for one host that nobody sees both of",
    vs("a", `hosts: [reviews], exportTo: [a], http: [{${TO}}]`) +
      vs("b", `hosts: [reviews], exportTo: [b], http: [{${TO}}]`),
    [],
  ],
  [
    "an exact host and a wildcard around it",
    vs("a", `hosts: [reviews], http: [{${TO}}]`) +
      vs("b", `hosts: ["*.default.svc.cluster.local"], http: [{${TO}}]`),
    [],
  ],
  [
    "rules behind one that takes everything",
    vs("a", `hosts: [reviews], http: [{${TO}}, {match: [{uri: {prefix: /a}}], ${TO}}]`),
    ["IST0130 default/a spec.http[1]"],
  ],
  [
    "a match that an earlier rule takes",
    vs(
      "a",
      `hosts: [reviews], http: [{match: [{uri: {prefix: /a}}], ${TO}}, {match: [{uri: {exact: /a/b}}, {uri: {prefix: /b}}], ${TO}}]`,
    ),
    ["IST0131 default/a spec.http[1].match[0]"],
  ],
  [
    "matches that differ in one condition",
    vs(
      "a",
      `hosts: [reviews], http: [{match: [{uri: {prefix: /a}, headers: {x: {exact: y}}}], ${TO}}, {match: [{uri: {prefix: /a}}], ${TO}}]`,
    ),
    [],
  ],
  [
    "an expression that is left out, before a rule like it",
    vs(
      "a",
      `hosts: [reviews], http: [{match: [{uri: {prefix: /a}, headers: {x: {regex: "(?=a)"}}}], ${TO}}, {match: [{uri: {prefix: /a}, headers: {x: {exact: a}}}], ${TO}}]`,
    ),
    ['IST0122 default/a spec.http[0].match[0].headers["x"].regex'],
  ],
  [
    "a delegate's rule behind the root's",
    vs("a", `hosts: [reviews], http: [{match: [{uri: {prefix: /a}}], ${TO}}, {delegate: {name: b}}]`) +
      vs("b", `http: [{match: [{uri: {prefix: /a/b}}], ${TO}}, {${TO}}]`),
    ["IST0130 default/b spec.http[0]"],
  ],
  [
    "tls rules for the same name",
    vs(
      "a",
      `hosts: [reviews], tls: [{match: [{sniHosts: [reviews]}], ${TO}}, {match: [{sniHosts: [reviews]}], ${TO}}]`,
    ),
    ["IST0130 default/a spec.tls[1]"],
  ],
  ["a rule for no service", dr("r", "host: nowhere"), ["IST0174 default/r spec.host"]],
  [
    "a subset without instances",
    dr("r", "host: reviews, subsets: [{name: v3, labels: {version: v3}}]"),
    ["IST0173 default/r spec.subsets[0].labels"],
  ],
  [
    "TLS that believes anybody",
    dr(
      "r",
      "host: reviews, trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}, portLevelSettings: [{port: {number: 9080}, tls: {mode: SIMPLE, insecureSkipVerify: true}}]}",
    ),
    [
      "IST0128 default/r spec.trafficPolicy.tls",
      "IST0129 default/r spec.trafficPolicy.portLevelSettings[0].tls",
    ],
  ],
  [
    "two rules for one host",
    dr("r", "host: reviews, trafficPolicy: {loadBalancer: {simple: RANDOM}}") +
      dr("s", "host: reviews.default.svc.cluster.local, trafficPolicy: {loadBalancer: {simple: RANDOM}}"),
    ["TUL0003 default/s spec.trafficPolicy"],
  ],
  [
    "a port whose protocol is guessed",
    se("e", "hosts: [a.example], resolution: DNS, ports: [{number: 80, name: web}]"),
    ["IST0118 default/e spec.ports[0].name"],
  ],
  [
    "bytes without an address",
    se("e", "hosts: [a.example], ports: [{number: 80, name: db, protocol: TCP}]"),
    ["IST0134 default/e spec.ports[0]"],
  ],
  [
    "a selector without workloads",
    se(
      "e",
      "hosts: [a.example], resolution: STATIC, workloadSelector: {labels: {app: a}}, ports: [{number: 80, name: http}]",
    ),
    ["IST0127 default/e spec.workloadSelector"],
  ],
  [
    "one host with two protocols",
    se("e", "hosts: [a.example], resolution: DNS, ports: [{number: 80, name: http}]") +
      se("f", "hosts: [a.example], resolution: DNS, ports: [{number: 80, name: tcp}]"),
    [
      "IST0177 default/e spec.ports[0].protocol",
      "IST0177 default/f spec.ports[0].protocol",
      "TUL0004 default/f spec.hosts[0]",
    ],
  ],
  [
    "a host that is registered",
    se("e", "hosts: [reviews.default.svc.cluster.local], resolution: DNS, ports: [{number: 80, name: http}]"),
    ["TUL0004 default/e spec.hosts[0]"],
  ],
  [
    "two Sidecars for a namespace",
    object("Sidecar", "a", "") + object("Sidecar", "b", "") + object("Sidecar", "c", "", ", namespace: shop"),
    ["IST0111 default/a spec.workloadSelector", "IST0111 default/b spec.workloadSelector"],
  ],
  [
    "two Sidecars for the same workloads, which nobody is",
    object("Sidecar", "a", "workloadSelector: {labels: {app: a}}") +
      object("Sidecar", "b", "workloadSelector: {labels: {app: a}}"),
    [
      "IST0110 default/a spec.workloadSelector",
      "IST0110 default/b spec.workloadSelector",
      "IST0127 default/a spec.workloadSelector",
      "IST0127 default/b spec.workloadSelector",
    ],
  ],
  [
    "two PeerAuthentications for a namespace",
    object("PeerAuthentication", "a", "mtls: {mode: STRICT}") +
      object("PeerAuthentication", "b", "mtls: {mode: DISABLE}"),
    ["TUL0006 default/a spec.selector", "TUL0006 default/b spec.selector"],
  ],
  [
    "AuthorizationPolicies of nobody",
    object("AuthorizationPolicy", "a", "selector: {matchLabels: {app: nobody}}") +
      object("AuthorizationPolicy", "b", "targetRefs: [{kind: Service, name: nobody}]") +
      object(
        "AuthorizationPolicy",
        "c",
        "targetRef: {group: gateway.networking.k8s.io, kind: GatewayClass, name: waypoint}",
      ),
    [
      "IST0127 default/a spec.selector",
      "IST0101 default/b spec.targetRefs[0].name",
      "TUL0001 default/c spec.targetRef",
    ],
  ],
  [
    "Linkerd's annotations",
    vs(
      "a",
      `hosts: [reviews], http: [{${TO}}]`,
      ", annotations: {balancer.linkerd.io/failure-accrual: consecutive, retry.linkerd.io/https: 5xx, linkerd.io/inject: enabled}",
    ),
    [
      'IST0107 default/a metadata.annotations["balancer.linkerd.io/failure-accrual"]',
      'IST0108 default/a metadata.annotations["retry.linkerd.io/https"]',
    ],
  ],
  [
    "a Server that is not there",
    `
apiVersion: policy.linkerd.io/v1alpha1
kind: HTTPLocalRateLimitPolicy
metadata: {name: a, namespace: default}
spec: {targetRef: {group: policy.linkerd.io, kind: Server, name: web}, total: {requestsPerSecond: 1}}
`,
    ["IST0101 default/a spec.targetRef.name"],
  ],
  [
    "annotations",
    vs(
      "a",
      `hosts: [reviews], http: [{${TO}}]`,
      ', annotations: {sidecar.istio.io/inject: "true", networking.istio.io/exprtTo: x, example.com/x: y}',
    ),
    [
      'IST0107 default/a metadata.annotations["sidecar.istio.io/inject"]',
      'IST0108 default/a metadata.annotations["networking.istio.io/exprtTo"]',
    ],
  ],
  [
    "a host that no server of the Gateway has, and a host of two Gateways",
    ["a", "b"]
      .map(
        (name) => `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ${name}}
spec:
  selector: {app: edge}
  servers: [{port: {number: 80, protocol: HTTP, name: http}, hosts: [a.example.com]}]
---
`,
      )
      .join("") + vs("a", `hosts: [a.example.com, b.example.com], gateways: [a], http: [{${TO}}]`),
    [
      "IST0132 default/a spec.hosts[1]",
      "IST0145 default/a spec.servers[0].hosts[0]",
      "IST0145 default/b spec.servers[0].hosts[0]",
    ],
  ],
  [
    "a gateway",
    vs("a", `hosts: [reviews], gateways: [mesh, shop/front], http: [{${TO}}]`),
    ["IST0101 default/a spec.gateways[1]"],
  ],
  [
    "a tunnel",
    dr("r", "host: reviews, trafficPolicy: {tunnel: {targetHost: a, targetPort: 1}}"),
    ["TUL0001 default/r"],
  ],
  [
    "entries of Consul's that lead to what nobody declares",
    "Kind: service-router\nName: reviews\nRoutes: [{Destination: {ServiceSubset: v9}}]\n",
    ["TUL0010 default/reviews spec.routes[0].destination"],
  ],
];

test.each(CASES)("analyze of %s", (_what, yaml, expected) => {
  expect(brief(yaml)).toEqual(expected.toSorted());
});

test("analyze says nothing of two objects for one host that was not asked about", () => {
  const yaml =
    vs("a", `hosts: [reviews], http: [{${TO}}]`) + vs("b", `hosts: [reviews], http: [{${TO}}]`, ALLOWED);
  const { reader } = mesh(REVIEWS, yaml);
  const findings = analyze(reader, { live: true, subjects: ({ metadata }) => metadata.name === "b" });
  expect(findings.map(({ object: { name } }) => name)).toEqual(["b"]);
  expect(findings[0]?.message).toContain("VirtualService default/a claims the host");
});

test("analyze leaves out what an object's annotation suppresses", () => {
  const bad = "hosts: [reviews], http: [{route: [{destination: {host: nowhere}}]}]";
  const annotated = (value: string) => `, annotations: {galley.istio.io/analyze-suppress: "${value}"}`;
  expect(brief(vs("a", bad, annotated("IST0118, IST0101")))).toEqual([]);
  expect(brief(vs("a", bad, annotated("*")))).toEqual([]);
  expect(brief(vs("a", bad, annotated("IST0130")))).toHaveLength(1);
});

test("analyze of files alone takes services for granted, and hosts of the outside not", () => {
  const files = { live: false, instances: [] };
  const to = (host: string, subset = "") =>
    vs("a", `hosts: [reviews], http: [{route: [{destination: {host: ${host}${subset}}}]}]`);
  expect(brief(to("nowhere"), files)).toEqual([]);
  expect(brief(to("nowhere.shop"), files)).toEqual([]);
  expect(brief(to("api.example.com"), files)).toEqual([
    "IST0101 default/a spec.http[0].route[0].destination.host",
  ]);
  expect(brief(to("reviews", ", subset: v1"), files)).toEqual([
    "TUL0002 default/a spec.http[0].route[0].destination.subset",
  ]);
  const declared = dr("r", "host: reviews, subsets: [{name: v1}]");
  expect(brief(to("reviews", ", subset: v2") + declared, files)).toEqual([
    "IST0101 default/a spec.http[0].route[0].destination.subset",
  ]);
  expect(
    brief(dr("r", "host: reviews, trafficPolicy: {tunnel: {targetHost: a, targetPort: 1}}"), files),
  ).toEqual(["TUL0001 default/r"]);
});

test("every code that the tests above do not reach is of a schema's check", () => {
  const reached = new Set(CASES.flatMap(([, yaml]) => found(yaml).map(({ code }) => code)));
  const others = Object.keys(ANALYSIS_CODES).filter((code) => !reached.has(code as never));
  // Deprecated fields and violations are found where files are read, what users' own policies say elsewhere.
  expect(others.sort()).toEqual([
    "IST0002",
    "IST0106",
    "IST0112",
    "IST0133",
    "TUL0007",
    "TUL0008",
    "TUL0009",
  ]);
});

test("analyze asks for a port where a caller's port does not say which one is meant", () => {
  const instances = [
    ...REVIEWS,
    instance({ service: "db", servicePort: 1 }),
    instance({ service: "db", servicePort: 2 }),
  ];
  const yaml = vs("a", "hosts: [reviews], http: [{route: [{destination: {host: db}}]}]");
  expect(brief(yaml, { instances })).toEqual(["IST0112 default/a spec.http[0].route[0].destination"]);
  const own = vs("a", "hosts: [db], http: [{route: [{destination: {host: db}}]}]");
  expect(brief(own, { instances })).toEqual([]);
});
