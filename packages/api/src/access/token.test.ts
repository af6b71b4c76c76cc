import fc from "fast-check";
import { expect, test } from "vitest";

import { InvalidObjectError } from "../status-object.js";
import { readAccessTokenRequest, scopeOfToken } from "./token.js";

function violationsOf(body: unknown): readonly string[] {
  try {
    readAccessTokenRequest(body);
    return [];
  } catch (thrown) {
    if (!(thrown instanceof InvalidObjectError)) throw thrown;
    return thrown.violations.map(({ path }) => path);
  }
}

test("readAccessTokenRequest reads what each role needs", () => {
  for (const body of [
    { name: "root", role: "admin" },
    { name: "ci", role: "operator", namespaces: ["shop", "bank"], ttlSeconds: 86_400 },
    { name: "dashboards", role: "read-only" },
    { name: "reviews", role: "workload", namespaces: ["shop"], serviceAccount: "bookinfo-reviews" },
  ]) {
    expect(readAccessTokenRequest(body)).toEqual(body);
  }
  expect(scopeOfToken({ name: "root", role: "admin" })).toEqual({ role: "admin", namespaces: "*" });
});

test.each([
  [{ role: "admin" }, ["name"]],
  [{ name: "A b", role: "root" }, ["name", "role"]],
  [{ name: "a", role: "admin", namespaces: ["shop"] }, ["namespaces"]],
  [{ name: "a", role: "operator", namespaces: [] }, ["namespaces"]],
  [{ name: "a", role: "operator", namespaces: ["*"] }, ["namespaces[0]"]],
  [{ name: "a", role: "workload", namespaces: ["shop"] }, ["serviceAccount"]],
  [{ name: "a", role: "workload", serviceAccount: "b" }, ["namespaces"]],
  [{ name: "a", role: "operator", serviceAccount: "b" }, ["serviceAccount"]],
  [{ name: "a", role: "operator", ttlSeconds: 1 }, ["ttlSeconds"]],
  [{ name: "a", role: "operator", ttlSeconds: 1e300 }, ["ttlSeconds"]],
  [{ name: "a", role: "operator", namespace: "shop" }, ["namespace"]],
])("readAccessTokenRequest refuses %j", (body, paths) => {
  expect(violationsOf(body)).toEqual(paths);
});

test("readAccessTokenRequest refuses everything else with a list of violations, never otherwise", () => {
  fc.assert(
    fc.property(fc.oneof(fc.anything(), fc.record({ name: fc.string(), role: fc.string() })), (body) => {
      expect(violationsOf(body)).not.toEqual([]);
    }),
  );
});
