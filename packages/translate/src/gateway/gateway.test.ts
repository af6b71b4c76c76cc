import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { fromBinary } from "@bufbuild/protobuf";
import { LISTENER_TYPE, ROUTE_TYPE, SECRET_TYPE } from "@tulle/xds";
import { ListenerSchema, type Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { TlsParameters_TlsProtocol as Protocol } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { SecretSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { HttpConnectionManagerSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { DownstreamTlsContextSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { expect, test } from "vitest";
import { CLIENT, instance, mesh } from "../../testdata/mesh.js";
import type { ClientView } from "../contract.js";
import { translate } from "../translate.js";

const GATEWAY: ClientView = {
  ...CLIENT,
  namespace: "edge",
  labels: { istio: "ingressgateway" },
  gateway: { trustedProxies: 1 },
};

const SHOP = [instance({ service: "web", servicePort: 80, namespace: "shop" })];

function yaml(servers: string, more = ""): string {
  return `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers: ${servers}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web.example.com, other.example.org]
  gateways: [public]
  http:
  - match: [{gateways: [mesh]}]
    route: [{destination: {host: nobody}}]
  - route: [{destination: {host: web}}]
---
${more}`;
}

const HTTP = "{port: {number: 80, protocol: HTTP, name: http}, hosts: ['*.example.com']}";

function listener(text: string, view = GATEWAY): Listener | undefined {
  const { resource } = translate(mesh(SHOP, text).reader, view, LISTENER_TYPE, "virtualInbound");
  return resource && fromBinary(ListenerSchema, resource.bytes);
}

function routes(text: string, name: string, view = GATEWAY) {
  const made = translate(mesh(SHOP, text).reader, view, ROUTE_TYPE, name);
  if (made.resource === undefined) return undefined;
  const { virtualHosts } = fromBinary(RouteConfigurationSchema, made.resource.bytes);
  return virtualHosts.map(({ domains, routes: all, requireTls }) => ({
    domains,
    clusters: all.map(({ action }) =>
      action.case === "route" ? action.value.clusterSpecifier.value : action.case,
    ),
    requireTls,
  }));
}

const names = (made: Listener | undefined) =>
  made?.filterChains.map(({ filterChainMatch }) => filterChainMatch?.serverNames);
const ports = (made: Listener | undefined) =>
  made?.filterChains.map(({ filterChainMatch }) => filterChainMatch?.destinationPort);

test("a gateway opens the ports of the Gateways that select it, and nobody else does", () => {
  const text = yaml(`[${HTTP}, {port: {number: 8080, protocol: HTTP2, name: h2}, hosts: ['*']}]`);
  const made = listener(text);
  expect(ports(made)).toEqual([80, 8080]);
  expect(made?.additionalAddresses).toHaveLength(1);
  expect(listener(text, { ...GATEWAY, labels: { istio: "egressgateway" } })).toBeUndefined();
  expect(listener(text, CLIENT)).toBeUndefined();
});

test("routes hold for hosts that Gateway and VirtualService have in common, and for matches of the gateway", () => {
  expect(routes(yaml(`[${HTTP}]`), "http.80")).toEqual([
    { domains: ["web.example.com"], clusters: ["outbound|80||web.shop.svc.cluster.local"], requireTls: 0 },
  ]);
});

test("a server's hosts may leave routes to a namespace", () => {
  for (const [host, found] of [
    ["./*", 2],
    ["shop/web.example.com", 1],
    ["bank/*", 0],
  ] as const) {
    const text = yaml(`[{port: {number: 80, protocol: HTTP, name: http}, hosts: ['${host}']}]`);
    expect(routes(text, "http.80")).toHaveLength(found);
  }
});

test("rules of several VirtualServices for one host come after each other, the oldest object's first", () => {
  const more = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: zeta, namespace: shop}
spec:
  hosts: ["*.example.com"]
  gateways: [shop/public]
  http: [{redirect: {uri: /}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: zz, namespace: shop}
spec:
  hosts: [web.example.com]
  gateways: [shop/public]
  http: [{redirect: {uri: /}}]
`;
  expect(routes(yaml(`[${HTTP}]`, more), "http.80")).toMatchObject([
    { domains: ["web.example.com"], clusters: ["outbound|80||web.shop.svc.cluster.local", "redirect"] },
    { domains: ["*.example.com"], clusters: ["redirect"] },
  ]);
});

test("TrafficPolicies for a host hold at the gateways that serve it, and for no other host", () => {
  const policy = (name: string, spec: string, namespace = "edge") => `
---
apiVersion: tulle.dev/v1
kind: TrafficPolicy
metadata: {name: ${name}, namespace: ${namespace}}
spec: {${spec}}`;
  const all =
    "host: web.example.com, hedging: {after: 50ms}, adaptiveConcurrency: {}, admissionControl: {}, pathNormalization: MERGE_SLASHES";
  const server = "{port: {number: 80, protocol: HTTP, name: http}, hosts: ['*']}";
  const made = (more: string) => {
    const { reader } = mesh(SHOP, yaml(`[${server}]`, more));
    const table = translate(reader, GATEWAY, ROUTE_TYPE, "http.80").resource!;
    const filter = fromBinary(
      ListenerSchema,
      translate(reader, GATEWAY, LISTENER_TYPE, "virtualInbound").resource!.bytes,
    ).filterChains[0]!.filters.at(-1)!.configType;
    const manager =
      filter.case === "typedConfig" ? anyUnpack(filter.value, HttpConnectionManagerSchema)! : undefined;
    return {
      filters: manager!.httpFilters.map(({ name }) => name.split(".").at(-1)),
      mergeSlashes: manager!.mergeSlashes,
      hosts: fromBinary(RouteConfigurationSchema, table.bytes).virtualHosts.map((host) => [
        host.domains[0],
        ...Object.keys(host.typedPerFilterConfig).map((name) => name.split(".").at(-1)),
        host.routes[0]?.metadata?.filterMetadata["tulle.dev"]?.["hedge"],
      ]),
    };
  };
  const WEB = ["web.example.com", "adaptive_concurrency", "admission_control", { afterMs: 50, max: 1 }];
  expect(made(policy("a", all))).toMatchObject({
    filters: expect.arrayContaining(["adaptive_concurrency", "admission_control"]),
    // Its hosts are of two minds: one chain takes them all.
    mergeSlashes: false,
    hosts: [WEB, ["other.example.org", undefined]],
  });
  expect(made(policy("a", all.replace("web.example.com", "'*'"))).mergeSlashes).toBe(true);
  // Another port's, another namespace's.
  for (const other of [policy("a", `port: 81, ${all}`), policy("a", all, "bank")])
    expect(made(other)).toMatchObject({
      filters: expect.not.arrayContaining(["admission_control"]),
      hosts: [
        ["web.example.com", undefined],
        ["other.example.org", undefined],
      ],
    });
});

test("a server that redirects says so of every host, with routes or without", () => {
  const server =
    "{port: {number: 80, protocol: HTTP, name: http}, hosts: ['*.example.com'], tls: {httpsRedirect: true}}";
  expect(routes(yaml(`[${server}]`), "http.80")).toMatchObject([
    { domains: ["*.example.com"], clusters: [], requireTls: 2 },
    { domains: ["web.example.com"], requireTls: 2 },
  ]);
});

const HTTPS = (name: string, hosts: string, tls: string) =>
  `{port: {number: 443, protocol: HTTPS, name: ${name}}, hosts: [${hosts}], tls: {${tls}}}`;

test("servers with TLS on one port are chosen by server name and have routes of their own", () => {
  const text = yaml(
    `[${HTTPS("web", "web.example.com", "mode: SIMPLE, credentialName: web")}, ${HTTPS("any", "'*.example.com'", "mode: MUTUAL, credentialName: any")}]`,
  );
  const made = listener(text);
  expect(names(made)).toEqual([["web.example.com"], ["*.example.com"]]);
  const contexts = made?.filterChains.map(({ transportSocket }) => {
    const config = transportSocket?.configType.value;
    return config && anyUnpack(config, DownstreamTlsContextSchema);
  });
  expect(contexts?.map((context) => context?.requireClientCertificate)).toEqual([false, true]);
  expect(contexts?.[0]?.commonTlsContext?.tlsCertificateSdsSecretConfigs[0]?.name).toBe("kubernetes://web");
  expect(routes(text, "https.443.web.public.shop")).toMatchObject([{ domains: ["web.example.com"] }]);
  expect(routes(text, "https.443.any.public.shop")).toMatchObject([{ domains: ["web.example.com"] }]);
  expect(routes(text, "http.443")).toBeUndefined();
});

test("a server speaks the TLS that it says, else what the mesh says for all", () => {
  const text = yaml(
    `[${HTTPS("web", "web.example.com", "mode: SIMPLE, credentialName: web")}, ${HTTPS("own", "own.example.com", "mode: SIMPLE, credentialName: web, minProtocolVersion: TLSV1_2, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]")}, ${HTTPS("mesh", "mesh.example.com", "mode: ISTIO_MUTUAL")}]`,
    `apiVersion: tulle.dev/v1
kind: MeshConfig
metadata: {name: mesh, namespace: istio-system}
spec:
  tlsDefaults: {minProtocolVersion: TLSV1_3, ecdhCurves: [P-256], cipherSuites: [ECDHE-ECDSA-AES256-GCM-SHA384]}
  meshMTLS: {minProtocolVersion: TLSV1_2, ecdhCurves: [P-384, P-256]}
`,
  );
  const parameters = listener(text)?.filterChains.map(({ transportSocket }) => {
    const config = transportSocket?.configType.value;
    const params = config && anyUnpack(config, DownstreamTlsContextSchema)?.commonTlsContext?.tlsParams;
    return [params?.tlsMinimumProtocolVersion, params?.cipherSuites, params?.ecdhCurves];
  });
  expect(parameters).toEqual([
    [Protocol.TLSv1_3, ["ECDHE-ECDSA-AES256-GCM-SHA384"], ["P-256"]],
    [Protocol.TLSv1_2, ["ECDHE-RSA-AES128-GCM-SHA256"], ["P-256"]],
    [Protocol.TLSv1_2, [], ["P-384", "P-256"]],
  ]);
});

test("of two servers with TLS for one host the older object's holds, and the younger is warned of", () => {
  const text = yaml(
    `[${HTTPS("web", "web.example.com", "mode: SIMPLE, credentialName: web")}]`,
    `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: zeta, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
  - ${HTTPS("web", "web.example.com, b.example.com", "mode: SIMPLE, credentialName: b")}
  - {port: {number: 443, protocol: HTTP, name: plain}, hosts: ['*']}
`,
  );
  expect(names(listener(text))).toEqual([["web.example.com"], ["b.example.com"]]);
  const { warnings } = translate(mesh(SHOP, text).reader, GATEWAY, LISTENER_TYPE, "virtualInbound") as {
    warnings: readonly string[];
  };
  expect(warnings).toEqual(
    expect.arrayContaining([
      expect.stringContaining("web.example.com on port 443 belongs to an older server"),
      expect.stringContaining("its connections cannot be told from those of Gateway shop/public"),
    ]),
  );
});

const CREDENTIAL = (namespace: string, name: string) => `
apiVersion: v1
kind: Secret
metadata: {name: ${name}, namespace: ${namespace}}
stringData: {tls.crt: certificate, tls.key: key, ca.crt: roots}
---`;

test("a gateway gets the Secrets of its own namespace that its servers name, and no other", () => {
  const servers = `[${HTTPS("web", "web.example.com", "mode: MUTUAL, credentialName: web")}]`;
  const all = ["edge/web", "edge/other", "shop/web", "shop/other"].map((full) =>
    CREDENTIAL(...(full.split("/") as [string, string])),
  );
  const reader = mesh(SHOP, yaml(servers, all.join("\n"))).reader;
  const get = (name: string, view = GATEWAY) => {
    const { resource } = translate(reader, view, SECRET_TYPE, name);
    return resource && fromBinary(SecretSchema, resource.bytes).type.case;
  };
  expect(get("kubernetes://web")).toBe("tlsCertificate");
  expect(get("kubernetes://web-cacert")).toBe("validationContext");
  expect(get("kubernetes://other")).toBeUndefined();
  expect(get("web")).toBeUndefined();
  // Who is not selected, no gateway, of another namespace without such a Secret, or has proved nothing.
  expect(get("kubernetes://web", { ...GATEWAY, labels: {} })).toBeUndefined();
  expect(get("kubernetes://web", { ...CLIENT, namespace: "edge" })).toBeUndefined();
  expect(get("kubernetes://web", { ...GATEWAY, namespace: "bank" })).toBeUndefined();
  expect(get("kubernetes://web", { ...GATEWAY, mtls: false })).toBeUndefined();
});

test("TLS that passes as it is, and bytes, go where the rules that are bound say", () => {
  const text = yaml(
    `[{port: {number: 443, protocol: TLS, name: tls}, hosts: ['*.example.com'], tls: {mode: PASSTHROUGH}}, {port: {number: 5432, protocol: TCP, name: db}, hosts: ['*']}]`,
    `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bytes, namespace: shop}
spec:
  hosts: ["*"]
  gateways: [public]
  tls: [{match: [{sniHosts: [a.example.com, b.example.org]}], route: [{destination: {host: web}}]}]
  tcp: [{match: [{port: 5432}], route: [{destination: {host: web, port: {number: 80}}}]}]
`,
  );
  const made = listener(text);
  expect(names(made)).toEqual([["a.example.com"], []]);
  expect(ports(made)).toEqual([443, 5432]);
});

test("sourceSubnet tells clients of a gateway apart, in the order of the rules", () => {
  const text = yaml(
    `[{port: {number: 443, protocol: TLS, name: tls}, hosts: ['*.example.com'], tls: {mode: PASSTHROUGH}}, {port: {number: 5432, protocol: TCP, name: db}, hosts: ['*']}]`,
    `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bytes, namespace: shop}
spec:
  hosts: ["*"]
  gateways: [public]
  tls:
  - match: [{sniHosts: [a.example.com], sourceSubnet: 10.0.0.0/8}, {sniHosts: [b.example.com]}]
    route: [{destination: {host: web}}]
  - match: [{sniHosts: [a.example.com, b.example.com]}]
    route: [{destination: {host: web}}]
  tcp:
  - match: [{sourceSubnet: 10.1.0.0/16}, {sourceSubnet: "fd00::1"}]
    route: [{destination: {host: web, port: {number: 80}}}]
  - match: [{sourceSubnet: 10.1.2.0/24}]
    route: [{destination: {host: web, port: {number: 80}}}]
  - match: [{sourceSubnet: 10.0.0.0/8}]
    route: [{destination: {host: web, port: {number: 80}}}]
  - route: [{destination: {host: web, port: {number: 80}}}]
  - match: [{sourceSubnet: 192.0.2.0/24}]
    route: [{destination: {host: web, port: {number: 80}}}]
`,
  );
  const made = listener(text)?.filterChains.map(({ filterChainMatch: match }) => [
    match?.destinationPort,
    match?.serverNames,
    match?.sourcePrefixRanges.map(({ addressPrefix, prefixLen }) => `${addressPrefix}/${prefixLen}`),
  ]);
  expect(made).toEqual([
    [443, ["a.example.com"], ["10.0.0.0/8"]],
    [443, ["b.example.com"], []],
    [443, ["a.example.com"], []],
    [5432, [], ["10.1.0.0/16", "fd00::1/128"]],
    // 10.1.2.0/24 is the first rule's already, and after a rule for everybody there is nobody left.
    [5432, [], ["10.0.0.0/8"]],
    [5432, [], []],
  ]);
});

test("RateLimits hold for the hosts of gateways that they select", () => {
  const limit = (spec: string) => `
apiVersion: tulle.dev/v1
kind: RateLimit
metadata: {name: limit, namespace: edge}
spec: {${spec}, limits: [{requests: 5, interval: 1s, per: CLIENT_ADDRESS}]}
`;
  const made = (spec: string) => {
    const { resource } = translate(
      mesh(SHOP, yaml(`[${HTTP}]`, limit(spec))).reader,
      GATEWAY,
      ROUTE_TYPE,
      "http.80",
    );
    const [host] = fromBinary(RouteConfigurationSchema, resource!.bytes).virtualHosts;
    return [host?.rateLimits.length, Object.keys(host?.typedPerFilterConfig ?? {})];
  };
  const found = [1, ["tulle.rate_limit.edge.limit"]];
  expect(made("host: web.example.com, direction: OUTBOUND")).toEqual(found);
  expect(made("selector: {matchLabels: {istio: ingressgateway}}")).toEqual(found);
  expect(made("host: other.example.com")).toEqual([0, []]);
  expect(made("selector: {matchLabels: {istio: egressgateway}}")).toEqual([0, []]);
});

test("policies guard a gateway: of its namespace, of the mesh, and of Gateways of Gateway API", () => {
  const filters = (policy: string) => {
    const text = yaml(
      `[${HTTP}, {port: {number: 9000, protocol: TCP, name: tcp}, hosts: ['*']}]`,
      `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n${policy}`,
    );
    return listener(text)?.filterChains.map((chain) => {
      const config = chain.filters[0]?.configType;
      const manager =
        config?.case === "typedConfig" ? anyUnpack(config.value, HttpConnectionManagerSchema) : undefined;
      return (manager?.httpFilters ?? chain.filters)[0]?.name;
    });
  };
  const spec = "spec: {action: DENY, rules: [{from: [{source: {ipBlocks: [192.0.2.0/24]}}]}]}";
  expect(filters(`metadata: {name: p, namespace: edge}\n${spec}`)?.[0]).toBe("istio.authorization.deny");
  expect(filters(`metadata: {name: p, namespace: istio-system}\n${spec}`)?.[0]).toBe(
    "istio.authorization.deny",
  );
  expect(filters(`metadata: {name: p, namespace: shop}\n${spec}`)?.[0]).not.toBe("istio.authorization.deny");
  const target = "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: public}], ";
  expect(
    filters(`metadata: {name: p, namespace: shop}\n${spec.replace("{action", `{${target}action`)}`)?.[0],
  ).not.toBe("istio.authorization.deny");
});
