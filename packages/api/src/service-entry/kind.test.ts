import { expect, test } from "vitest";
import { serviceEntryKind } from "./kind.js";

function check(spec: Record<string, unknown>) {
  return serviceEntryKind.check({ spec: { hosts: ["api.example.com"], ...spec } });
}

const http = { number: 80, name: "http", protocol: "HTTP" };

test("check accepts every documented field and keeps it", () => {
  const spec = {
    hosts: ["api.example.com", "*.api.example.com"],
    addresses: ["10.1.0.0/16", "fd00::1"],
    ports: [
      { ...http, targetPort: 8080 },
      { number: 443, name: "tls", protocol: "tls" },
    ],
    location: "MESH_INTERNAL",
    resolution: "STATIC",
    endpoints: [
      { address: "10.1.0.1", ports: { http: 8080 }, labels: { version: "v1" }, locality: "eu/a", weight: 2 },
    ],
    exportTo: ["."],
    subjectAltNames: ["spiffe://cluster.local/ns/default/sa/api"],
  };
  expect(serviceEntryKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
});

test.each<[string, Record<string, unknown>, string]>([
  ["no hosts", { hosts: [] }, "spec.hosts: must have at least one host"],
  ["the host *", { hosts: ["*"] }, "spec.hosts[0]: expected a host name"],
  ["a repeated host", { hosts: ["a.b", "A.b"] }, "spec.hosts[1]: repeats"],
  [
    "a port number twice",
    { ports: [http, { ...http, name: "b" }] },
    "spec.ports[1].number: repeats ports[0].number",
  ],
  [
    "a port name twice",
    { ports: [http, { ...http, number: 81 }] },
    "spec.ports[1].name: repeats ports[0].name",
  ],
  [
    "an unknown protocol",
    { ports: [{ ...http, protocol: "SPDY" }] },
    "spec.ports[0].protocol: expected one of HTTP",
  ],
  [
    "endpoints that nobody resolves",
    { endpoints: [{ address: "10.0.0.1" }] },
    "spec.endpoints: cannot be given with resolution NONE",
  ],
  ["STATIC without endpoints", { resolution: "STATIC" }, "spec.endpoints: or workloadSelector is required"],
  [
    "STATIC names",
    { resolution: "STATIC", endpoints: [{ address: "a.b" }] },
    "spec.endpoints[0].address: must be an IP address",
  ],
  ["DNS wildcards", { hosts: ["*.a"], resolution: "DNS" }, "spec.hosts[0]: cannot be a wildcard"],
  [
    "two round-robin endpoints",
    { resolution: "DNS_ROUND_ROBIN", endpoints: [{ address: "a" }, { address: "b" }] },
    "spec.endpoints: must have at most one",
  ],
  [
    "a looked-up block",
    { resolution: "DNS", addresses: ["10.0.0.0/8"] },
    "spec.addresses[0]: can be a block",
  ],
  [
    "endpoints and a selector",
    { resolution: "STATIC", endpoints: [{ address: "1.1.1.1" }], workloadSelector: {} },
    "spec.endpoints: cannot stand together with workloadSelector",
  ],
  [
    "an endpoint's unknown port",
    { resolution: "STATIC", ports: [http], endpoints: [{ address: "1.1.1.1", ports: { grpc: 1 } }] },
    "spec.endpoints[0].ports.grpc: is not the name of one of spec.ports",
  ],
  [
    "an endpoint without address",
    { resolution: "STATIC", endpoints: [{}] },
    "spec.endpoints[0].address: is required",
  ],
  [
    "a socket and two ports",
    { resolution: "STATIC", ports: [http, { number: 81, name: "b" }], endpoints: [{ address: "unix:///a" }] },
    "spec.ports: must have exactly one item",
  ],
  [
    "a socket to look up",
    { resolution: "DNS", ports: [http], endpoints: [{ address: "unix:///a" }] },
    "cannot be a Unix socket",
  ],
  ["a bad address", { addresses: ["10.0.0.256"] }, "spec.addresses[0]: expected an IP address or a block"],
])("check refuses %s", (_what, spec, expected) => {
  const checked = check(spec);
  const found = checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
  expect(found.join("\n")).toContain(expected);
});

test("check warns of a service that nothing can call", () => {
  expect(check({}).warnings).toEqual(["spec.ports is empty: nothing can call this service"]);
});
