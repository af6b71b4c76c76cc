import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { LISTENER_TYPE, ROUTE_TYPE, SECRET_TYPE } from "@tulle/xds";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { CertificateValidationContext_TrustChainVerification as TrustChainVerification } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { DownstreamTlsContextSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { expect, test } from "vitest";
import { CLIENT, instance, mesh, objectsOf } from "../../testdata/mesh.js";
import type { ClientView } from "../contract.js";
import { translate } from "../translate.js";
import { gatewayStatus } from "./gateway-status.js";
import { GATEWAY_NAME_LABEL } from "./gateways.js";
import { routeParents } from "./route-status.js";

const VIEW: ClientView = {
  ...CLIENT,
  namespace: "edge",
  labels: { [GATEWAY_NAME_LABEL]: "public" },
  gateway: { trustedProxies: 0 },
};
const SHOP = ["web", "api"].map((service) => instance({ service, servicePort: 80, namespace: "shop" }));

const gateway = (listeners: string, more = "") => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: edge}
spec: {gatewayClassName: tulle, listeners: ${listeners}${more}}
---`;
const route = (name: string, spec: string, kind = "HTTPRoute") => `
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: {name: ${name}, namespace: shop}
spec: {parentRefs: [{name: public, namespace: edge${spec}}
---`;
const HTTP = "{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}";
const to = (service: string) => `backendRefs: [{name: ${service}, port: 80}]`;
const secret = (namespace: string) => `
apiVersion: v1
kind: Secret
metadata: {name: web, namespace: ${namespace}}
stringData: {tls.crt: certificate, tls.key: key}
---`;

function routes(text: string, name = "http.80") {
  const made = translate(mesh(SHOP, text).reader, VIEW, ROUTE_TYPE, name);
  if (made.resource === undefined) return undefined;
  return fromBinary(RouteConfigurationSchema, made.resource.bytes).virtualHosts.map(
    ({ domains, routes: all }) => [domains[0], ...all.map(({ name: of }) => of)],
  );
}

function ports(text: string, view = VIEW) {
  const { resource } = translate(mesh(SHOP, text).reader, view, LISTENER_TYPE, "virtualInbound");
  return (
    resource &&
    fromBinary(ListenerSchema, resource.bytes).filterChains.map(
      (one) => one.filterChainMatch?.destinationPort,
    )
  );
}

function status(text: string, kind: string) {
  const object = objectsOf(text).find((one) => one.kind === kind);
  const { reader } = mesh(SHOP, text);
  return { gateway: gatewayStatus(reader, object!), parents: routeParents(reader, object!) };
}

test("a Gateway is run by gateways of its namespace that have its name as a label, and of our class", () => {
  expect(ports(gateway(`[${HTTP}]`))).toEqual([80]);
  expect(ports(gateway(`[${HTTP}]`), { ...VIEW, namespace: "shop" })).toBeUndefined();
  expect(ports(gateway(`[${HTTP}]`), { ...VIEW, labels: {} })).toBeUndefined();
  expect(ports(gateway(`[${HTTP}]`).replace("ClassName: tulle", "ClassName: istio"))).toBeUndefined();
});

test("routes hold for the hosts that they share with a listener, the most specific condition first", () => {
  const text =
    gateway(`[${HTTP}]`) +
    route("web", `}], hostnames: [web.example.com], rules: [{${to("web")}}]`) +
    route(
      "api",
      `}], hostnames: [web.example.com, api.example.com], rules: [{matches: [{path: {value: /api}}], ${to("api")}}]`,
    );
  expect(routes(text)).toEqual([
    ["web.example.com", "api/rules[0]", "web/rules[0]"],
    ["api.example.com", "api/rules[0]"],
  ]);
});

test("of listeners on one port each has the hosts that no narrower one has", () => {
  const wide = HTTP.replace("name: http", 'name: wide, hostname: "*.example.com"');
  const narrow = HTTP.replace("name: http", "name: narrow, hostname: web.example.com");
  const text =
    gateway(`[${wide}, ${narrow}]`) +
    route(
      "a",
      `, sectionName: wide}], hostnames: [web.example.com, b.example.com], rules: [{${to("web")}}]`,
    ) +
    route("b", `, sectionName: narrow}], rules: [{${to("api")}}]`);
  expect(routes(text)).toEqual([
    ["b.example.com", "a/rules[0]"],
    ["web.example.com", "b/rules[0]"],
  ]);
});

test.each([
  ["another section", HTTP, ", sectionName: https}]", "NoMatchingParent"],
  ["another port", HTTP, ", port: 81}]", "NoMatchingParent"],
  ["a foreign namespace", "{name: http, port: 80, protocol: HTTP}", "}]", "NotAllowedByListeners"],
  [
    "a foreign kind",
    HTTP.replace("{from: All}", "{from: All}, kinds: [{kind: GRPCRoute}]"),
    "}]",
    "NotAllowedByListeners",
  ],
  [
    "a foreign host",
    HTTP.replace("name: http", "name: http, hostname: a.example.org"),
    "}], hostnames: [b.example.org]",
    "NoMatchingListenerHostname",
  ],
])("a route with %s is not attached, and its status says why", (_what, listener, parent, reason) => {
  const text = gateway(`[${listener}]`) + route("web", `${parent}, rules: [{${to("web")}}]`);
  expect(routes(text)).toEqual([]);
  expect(status(text, "HTTPRoute").parents?.[0]?.conditions[0]).toMatchObject({ status: "False", reason });
});

test("namespaces are chosen by their labels", () => {
  const listener = `{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchExpressions: [{key: team, operator: In, values: [shop]}]}}}}`;
  const namespace = (team: string) => `
apiVersion: v1
kind: Namespace
metadata: {name: shop, namespace: "", labels: {team: ${team}}}
---`;
  const text = gateway(`[${listener}]`) + route("web", `}], rules: [{${to("web")}}]`);
  expect(routes(text + namespace("shop"))).toHaveLength(1);
  expect(routes(text + namespace("bank"))).toEqual([]);
  expect(routes(text)).toEqual([]);
});

test("certificates of other namespaces need a ReferenceGrant, and travel with one only", () => {
  const listener = `{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: web, namespace: vault}]}}`;
  const grant = `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: edge, namespace: vault}
spec: {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: edge}], to: [{group: "", kind: Secret}]}
---`;
  const name = "kubernetes-gateway://vault/web";
  const without = gateway(`[${listener}]`) + secret("vault");
  const travels = (text: string) =>
    translate(mesh(SHOP, text).reader, VIEW, SECRET_TYPE, name).resource !== undefined;
  expect([ports(without), travels(without)]).toEqual([undefined, false]);
  expect(status(without, "Gateway").gateway?.listeners?.[0]?.conditions).toContainEqual(
    expect.objectContaining({ type: "ResolvedRefs", status: "False", reason: "RefNotPermitted" }),
  );
  expect([ports(without + grant), travels(without + grant)]).toEqual([[443], true]);
  expect(status(without + grant, "Gateway").gateway?.conditions.map(({ status: of }) => of)).toEqual([
    "True",
    "True",
  ]);
});

test("a megabyte of blanks in the place of authorities holds nobody up", () => {
  const listeners = "[{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: web}]}}]";
  const references = `{caCertificateRefs: [{group: "", kind: ConfigMap, name: roots}]}`;
  const text =
    gateway(listeners, `, tls: {frontend: {default: {validation: ${references}}}}`) +
    secret("edge") +
    `
apiVersion: v1
kind: ConfigMap
metadata: {name: roots, namespace: edge}
data: {ca.crt: "-----BEGIN CERTIFICATE-----${" ".repeat(1_000_000)}"}
---`;
  expect(ports(text)).toBeUndefined();
}, 5000);

test("clients show certificates of authorities in ConfigMaps and Secrets; without one the port stays closed", () => {
  const listeners = `[${HTTP}, {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: web}]}}]`;
  const PEM = "-----BEGIN CERTIFICATE-----\\nYQ==\\n-----END CERTIFICATE-----";
  const roots = (kind: string, data: string) => `
apiVersion: v1
kind: ${kind}
metadata: {name: roots, namespace: edge}
${data}
---`;
  const asks = (reference: string, more = "") =>
    gateway(
      listeners,
      `, tls: {frontend: {default: {validation: {caCertificateRefs: [{group: "", ${reference}}]${more}}}}}`,
    ) + secret("edge");
  const MAP = "kind: ConfigMap, name: roots";
  const map = roots("ConfigMap", `data: {ca.crt: "${PEM}"}`);
  const context = (text: string) => {
    const { resource } = translate(mesh(SHOP, text).reader, VIEW, LISTENER_TYPE, "virtualInbound");
    const chain = fromBinary(ListenerSchema, resource!.bytes).filterChains.find(
      ({ filterChainMatch }) => filterChainMatch?.destinationPort === 443,
    );
    const socket = chain?.transportSocket?.configType;
    return socket?.case === "typedConfig" ? anyUnpack(socket.value, DownstreamTlsContextSchema) : undefined;
  };
  const conditions = (text: string) =>
    status(text, "Gateway").gateway?.listeners?.[1]?.conditions.map(({ type, reason }) =>
      [type, reason].join(" "),
    );
  const trusted = { specifier: { value: "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n" } };
  const strict = asks(MAP) + map;
  expect(context(strict)).toMatchObject({
    requireClientCertificate: true,
    commonTlsContext: { validationContextType: { case: "validationContext", value: { trustedCa: trusted } } },
  });
  expect(conditions(strict)).toEqual([
    "Accepted Accepted",
    "Conflicted NoConflicts",
    "ResolvedRefs ResolvedRefs",
    "Programmed Programmed",
  ]);
  expect(
    context(asks("kind: Secret, name: roots") + roots("Secret", `stringData: {ca.crt: "${PEM}"}`)),
  ).toMatchObject({ requireClientCertificate: true });
  const loose = asks(MAP, ", mode: AllowInsecureFallback") + map;
  expect(context(loose)).toMatchObject({
    requireClientCertificate: false,
    commonTlsContext: {
      validationContextType: {
        value: { trustChainVerification: TrustChainVerification.ACCEPT_UNTRUSTED },
      },
    },
  });
  expect(status(loose, "Gateway").gateway?.conditions.at(-1)).toMatchObject({
    type: "InsecureFrontendValidationMode",
    status: "True",
  });
  // Of another port, and of other protocols, nothing is asked.
  const other = strict.replace("}}}}}", "}}, perPort: [{port: 443, tls: {}}]}}}");
  expect(context(other)).toMatchObject({ requireClientCertificate: false });
  for (const [text, reason] of [
    [asks(MAP), "InvalidCACertificateRef"],
    [asks(MAP) + roots("ConfigMap", "data: {ca.crt: none}"), "InvalidCACertificateRef"],
    [asks("kind: Service, name: roots"), "InvalidCACertificateKind"],
    [asks(`${MAP}, namespace: shop`), "RefNotPermitted"],
  ] as const) {
    expect(ports(text)).toEqual([80]);
    expect(conditions(text)).toEqual([
      "Accepted NoValidCACertificate",
      "Conflicted NoConflicts",
      `ResolvedRefs ${reason}`,
      "Programmed Invalid",
    ]);
  }
});

test("listeners that cannot share a port are said, and the others served", () => {
  const text =
    gateway(`[${HTTP}, {name: tcp, port: 80, protocol: TCP}, {name: udp, port: 53, protocol: UDP}]`) +
    route("web", `}], rules: [{${to("web")}}]`);
  const { conditions, listeners } = status(text, "Gateway").gateway ?? {};
  expect(conditions?.[0]).toMatchObject({ type: "Accepted", status: "True", reason: "ListenersNotValid" });
  expect(listeners?.map(({ attachedRoutes, conditions: own }) => [attachedRoutes, own[0]?.reason])).toEqual([
    [1, "Accepted"],
    [0, "PortUnavailable"],
    [0, "UnsupportedProtocol"],
  ]);
  expect(ports(text)).toEqual([80]);
});

test("TLS that passes and bytes go by TLSRoutes and TCPRoutes", () => {
  const text =
    gateway(
      `[{name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}, allowedRoutes: {namespaces: {from: All}}}, {name: tcp, port: 5432, protocol: TCP, allowedRoutes: {namespaces: {from: All}}}]`,
    ) +
    route("tls", `, sectionName: tls}], hostnames: [a.example.com], rules: [{${to("web")}}]`, "TLSRoute") +
    route("tcp", `, sectionName: tcp}], rules: [{${to("web")}}]`, "TCPRoute");
  expect(ports(text)).toEqual([443, 5432]);
  expect(status(text, "TLSRoute").parents?.[0]?.conditions.map(({ status: of }) => of)).toEqual([
    "True",
    "True",
  ]);
});
