import { expect, test } from "vitest";
import { workloadEntryKind } from "./kind.js";

test.each([
  {
    address: "10.0.0.1",
    ports: { http: 8080 },
    weight: 0,
    locality: "eu/a/b",
    serviceAccount: "api",
    network: "n",
  },
  { address: "fd00::1" },
  { address: "vm.example.com" },
  { address: "unix:///run/app.sock" },
  { network: "far" },
])("check accepts %j", (spec) => {
  expect(workloadEntryKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
});

test.each<[Record<string, unknown>, string]>([
  [{}, "spec.address: is required"],
  [{ address: "*.example.com" }, "spec.address: expected an IP address"],
  [{ address: "unix://run" }, "spec.address: expected"],
  [{ address: "unix:///a", ports: { http: 1 } }, "spec.ports: cannot be given for a Unix socket"],
  [{ address: "a", ports: { "bad name": 1 } }, 'spec.ports["bad name"]: expected a port name'],
  [
    { address: "a", ports: { http: "80" } },
    'spec.ports.http: expected a port number from 1 to 65535, got the string "80"',
  ],
  [{ address: "a", locality: "a//b" }, "spec.locality: expected a locality"],
  [{ address: "a", weight: -1 }, "spec.weight: expected a whole number"],
  [{ address: "a", labels: { "a b": "c" } }, 'spec.labels["a b"]: expected a label key'],
])("check refuses %j", (spec, expected) => {
  const checked = workloadEntryKind.check({ spec });
  const found = checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
  expect(found.join("\n")).toContain(expected);
});

test("check says that spec is required when there is none", () => {
  expect(workloadEntryKind.check({ spce: {} })).toEqual({
    ok: false,
    violations: [
      { path: "spce", message: "is not a known field; did you mean spec?" },
      { path: "spec", message: "is required: expected an object" },
    ],
    warnings: [],
  });
});
