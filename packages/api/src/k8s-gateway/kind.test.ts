import { expect, test } from "vitest";
import { k8sGatewayKind } from "./kind.js";

const paths = (spec: object): readonly string[] => {
  const checked = k8sGatewayKind.check({ spec });
  return checked.ok ? [] : checked.violations.map(({ path }) => path);
};
const gateway = (...listeners: object[]) => ({ gatewayClassName: "tulle", listeners });
const http = { name: "http", port: 80, protocol: "HTTP" };
const certificateRefs = [{ name: "web" }];

test("listeners of every protocol are accepted", () => {
  const listeners = [
    {
      ...http,
      hostname: "*.example.com",
      allowedRoutes: { namespaces: { from: "All" }, kinds: [{ kind: "HTTPRoute" }] },
    },
    { name: "https", port: 443, protocol: "HTTPS", tls: { certificateRefs } },
    { name: "tls", port: 443, protocol: "TLS", hostname: "a.example.com", tls: { mode: "Passthrough" } },
    { name: "tcp", port: 5432, protocol: "TCP" },
  ];
  expect(paths(gateway(...listeners))).toEqual([]);
});

test("clients' certificates are validated by default or by port", () => {
  const validation = { caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "roots" }] };
  const frontend = { default: { validation }, perPort: [{ port: 443, tls: {} }] };
  expect(paths({ ...gateway(http), tls: { frontend } })).toEqual([]);
  const wrong = {
    default: { validation: { caCertificateRefs: [], mode: "Never" } },
    perPort: [{ port: 443, tls: {} }, { port: 443 }],
  };
  expect(paths({ ...gateway(http), tls: { frontend: wrong, backend: {} } })).toEqual([
    "spec.tls.frontend.default.validation.caCertificateRefs",
    "spec.tls.frontend.default.validation.mode",
    "spec.tls.frontend.perPort[1].tls",
    "spec.tls.frontend.perPort[1].port",
    "spec.tls.backend",
  ]);
});

test.each([
  ["no listeners", gateway(), ["spec.listeners"]],
  ["HTTPS without tls", gateway({ ...http, protocol: "HTTPS" }), ["spec.listeners[0].tls"]],
  ["HTTP with tls", gateway({ ...http, tls: { certificateRefs } }), ["spec.listeners[0].tls"]],
  [
    "no certificate",
    gateway({ ...http, protocol: "HTTPS", tls: {} }),
    ["spec.listeners[0].tls.certificateRefs"],
  ],
  [
    "HTTPS that passes",
    gateway({ ...http, protocol: "HTTPS", tls: { mode: "Passthrough" } }),
    ["spec.listeners[0].tls.mode"],
  ],
  ["a name twice", gateway(http, { ...http, port: 81 }), ["spec.listeners[1].name"]],
  ["a listener twice", gateway(http, { ...http, name: "other" }), ["spec.listeners[1]"]],
  ["a host of bytes", gateway({ ...http, protocol: "TCP", hostname: "a.b" }), ["spec.listeners[0].hostname"]],
  ["a field that is not carried out", { ...gateway(http), infrastructure: {} }, ["spec.infrastructure"]],
])("a Gateway with %s is refused", (_what, spec, expected) => {
  expect(paths(spec)).toEqual(expected);
});
