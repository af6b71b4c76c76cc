import { expect, test } from "vitest";

import { isLoopback, isTrustedHost } from "./host-check.js";

test.each([
  "localhost",
  "LOCALHOST:8500",
  "a.localhost:1",
  "127.0.0.1:8500",
  "[::1]:8500",
  "[::1]",
  "10.0.0.1",
])("isTrustedHost lets %s in", (host) => expect(isTrustedHost(host)).toBe(true));

test.each([
  undefined,
  "",
  "evil.example",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "evil.example:8500",
  "[evil]",
  "localhost:8500@evil",
  "a".repeat(300),
])("isTrustedHost refuses %j", (host) => expect(isTrustedHost(host)).toBe(false));

test("isTrustedHost lets names in that were given", () => {
  expect(isTrustedHost("mesh.example:8500", new Set(["mesh.example"]))).toBe(true);
});

test("isLoopback knows this machine's own addresses", () => {
  expect(["127.0.0.1", "127.1.2.3", "::1", "localhost"].every(isLoopback)).toBe(true);
  expect(["0.0.0.0", "10.0.0.1", "::", "example.com"].some(isLoopback)).toBe(false);
});
