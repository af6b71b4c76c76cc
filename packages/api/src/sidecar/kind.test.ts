import { expect, test } from "vitest";
import { sidecarKind } from "./kind.js";

const check = (spec: object) => sidecarKind.check({ spec });
const paths = (spec: object): readonly string[] => {
  const checked = check(spec);
  return checked.ok ? [] : checked.violations.map(({ path }) => path);
};

test("a Sidecar takes every form of host that Istio has", () => {
  const hosts = ["./*", "*/*", "~/*", "shop/*.svc.cluster.local", "*/reviews.default.svc.cluster.local"];
  expect(check({ egress: [{ hosts }] })).toMatchObject({ ok: true });
  expect(check({})).toMatchObject({ ok: true });
});

test.each([
  ["a host without namespace", { egress: [{ hosts: ["reviews"] }] }, ["spec.egress[0].hosts[0]"]],
  ["no hosts", { egress: [{ hosts: [] }] }, ["spec.egress[0].hosts"]],
  ["a wildcard inside", { egress: [{ hosts: ["./a.*.b"] }] }, ["spec.egress[0].hosts[0]"]],
  [
    "a foreign endpoint",
    { ingress: [{ port: { number: 80 }, defaultEndpoint: "10.0.0.1:80" }] },
    ["spec.ingress[0].defaultEndpoint"],
  ],
  ["a port twice", { ingress: [{ port: { number: 80 } }, { port: { number: 80 } }] }, ["spec.ingress[1]"]],
  [
    "a listener for all ports before another",
    { egress: [{ hosts: ["./*"] }, { port: { number: 80 }, hosts: ["./*"] }] },
    ["spec.egress[0].port"],
  ],
  ["an unknown field", { egres: [] }, ["spec.egres"]],
])("a Sidecar with %s is refused", (_what, spec, expected) => {
  expect(paths(spec)).toEqual(expected);
});

test("a Sidecar takes local endpoints in each family and as a socket", () => {
  for (const defaultEndpoint of ["127.0.0.1:8080", "0.0.0.0:8080", "[::1]:8080", "unix:///run/app.sock"]) {
    expect(paths({ ingress: [{ port: { number: 80 }, defaultEndpoint }] })).toEqual([]);
  }
});
