import { expect, test } from "vitest";
import { gatewayKind } from "./kind.js";

const check = (spec: object) => gatewayKind.check({ spec });
const paths = (spec: object): readonly string[] => {
  const checked = check(spec);
  return checked.ok ? [] : checked.violations.map(({ path }) => path);
};

const http = { port: { number: 80, protocol: "HTTP", name: "http" }, hosts: ["*"] };
const https = (tls: object) => ({
  servers: [
    {
      port: { number: 443, protocol: "HTTPS", name: "https" },
      hosts: ["a.example.com"],
      tls: { mode: "SIMPLE", ...tls },
    },
  ],
});

test("every way to have a certificate is accepted", () => {
  const files = { serverCertificate: "/tls/a.pem", privateKey: "/tls/a.key" };
  for (const tls of [
    { credentialName: "a" },
    { mode: "SIMPLE", credentialNames: ["a-rsa", "a-ecdsa"] },
    {
      mode: "SIMPLE",
      ...files,
      minProtocolVersion: "TLSV1_2",
      cipherSuites: ["ECDHE-RSA-AES128-GCM-SHA256"],
    },
    {
      mode: "MUTUAL",
      ...files,
      caCertificates: "/tls/ca.pem",
      caCrl: "/tls/crl.pem",
      subjectAltNames: ["b"],
    },
    { mode: "MUTUAL", credentialName: "a", verifyCertificateHash: ["ab".repeat(32)] },
    { mode: "OPTIONAL_MUTUAL", credentialName: "a", caCertCredentialName: "clients" },
    { mode: "MUTUAL", tlsCertificates: [{ ...files, caCertificates: "/tls/ca.pem" }] },
    { mode: "PASSTHROUGH" },
    { mode: "ISTIO_MUTUAL" },
  ]) {
    expect(paths(https(tls))).toEqual([]);
  }
});

test("hosts may name the namespace of their routes", () => {
  const hosts = ["a.example.com", "*.example.com", "./*", "shop/b.example.com", "*/c.example.com"];
  expect(check({ selector: { istio: "ingressgateway" }, servers: [{ ...http, hosts }] })).toMatchObject({
    ok: true,
    warnings: [],
  });
});

test.each([
  ["no servers", { servers: [] }, ["spec.servers"]],
  ["no hosts", { servers: [{ ...http, hosts: [] }] }, ["spec.servers[0].hosts"]],
  ["a wildcard inside", { servers: [{ ...http, hosts: ["a.*.b"] }] }, ["spec.servers[0].hosts[0]"]],
  [
    "an unknown protocol",
    { servers: [{ ...http, port: { ...http.port, protocol: "UDP" } }] },
    ["spec.servers[0].port.protocol"],
  ],
  [
    "HTTPS without tls",
    { servers: [{ ...http, port: { ...http.port, protocol: "HTTPS" } }] },
    ["spec.servers[0].tls"],
  ],
  [
    "TLS on plain HTTP",
    { servers: [{ ...http, tls: { mode: "SIMPLE", credentialName: "a" } }] },
    ["spec.servers[0].tls"],
  ],
  [
    "TLS without mode",
    { servers: [{ ...http, port: { ...http.port, protocol: "TLS" }, tls: { credentialName: "a" } }] },
    ["spec.servers[0].tls.mode"],
  ],
  ["no certificate", https({ mode: "SIMPLE" }), ["spec.servers[0].tls"]],
  ["two sources", https({ credentialName: "a", credentialNames: ["b"] }), ["spec.servers[0].tls"]],
  ["a certificate without key", https({ serverCertificate: "/a.pem" }), ["spec.servers[0].tls.privateKey"]],
  [
    "a relative path",
    https({ serverCertificate: "a.pem", privateKey: "/a.key" }),
    ["spec.servers[0].tls.serverCertificate"],
  ],
  [
    "client checks without client certificates",
    https({ credentialName: "a", subjectAltNames: ["b"] }),
    ["spec.servers[0].tls.subjectAltNames"],
  ],
  [
    "MUTUAL without roots",
    https({ mode: "MUTUAL", serverCertificate: "/a", privateKey: "/b" }),
    ["spec.servers[0].tls.caCertificates"],
  ],
  [
    "a certificate that is passed through",
    https({ mode: "PASSTHROUGH", credentialName: "a" }),
    ["spec.servers[0].tls.credentialName"],
  ],
  [
    "versions in the wrong order",
    https({ credentialName: "a", minProtocolVersion: "TLSV1_3", maxProtocolVersion: "TLSV1_2" }),
    ["spec.servers[0].tls.minProtocolVersion"],
  ],
  [
    "an unknown cipher",
    https({ credentialName: "a", cipherSuites: ["RC4-MD5"] }),
    ["spec.servers[0].tls.cipherSuites[0]"],
  ],
  [
    "a bad hash",
    https({ mode: "MUTUAL", credentialName: "a", verifyCertificateHash: ["zz"] }),
    ["spec.servers[0].tls.verifyCertificateHash[0]"],
  ],
  [
    "a redirect on HTTPS",
    https({ httpsRedirect: true, credentialName: "a" }),
    ["spec.servers[0].tls.httpsRedirect"],
  ],
  [
    "a port's name twice",
    { servers: [http, { ...http, hosts: ["b.example.com"] }] },
    ["spec.servers[1].port.name"],
  ],
  [
    "a host twice on a port",
    { servers: [http, { ...http, port: { ...http.port, name: "other" } }] },
    ["spec.servers[1].hosts[0]"],
  ],
  ["an unknown field", { servers: [http], selectors: {} }, ["spec.selectors"]],
])("a Gateway with %s is refused", (_what, spec, expected) => {
  expect(paths(spec)).toEqual(expected);
});

test("a Gateway for every gateway, and one with an old version of TLS, get a warning", () => {
  const checked = check(https({ credentialName: "a", minProtocolVersion: "TLSV1_0" }));
  expect(checked.warnings).toEqual([
    expect.stringContaining("spec.selector is empty"),
    expect.stringContaining("TLSV1_0 is not safe"),
  ]);
});
