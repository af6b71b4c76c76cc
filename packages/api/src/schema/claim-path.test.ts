import { expect, test } from "vitest";
import { claimPath, isConditionName } from "./headers.js";

test.each<[string, readonly string[] | undefined]>([
  ["@request.auth.claims.sub", ["sub"]],
  ["@request.auth.claims.realm.roles", ["realm", "roles"]],
  ["@request.auth.claims[https://example.com/roles]", ["https://example.com/roles"]],
  ["@request.auth.claims[realm][a.b]", ["realm", "a.b"]],
  ["@request.auth.claims", undefined],
  ["@request.auth.claims.", undefined],
  ["@request.auth.claims.a..b", undefined],
  ["@request.auth.claims[]", undefined],
  ["@request.auth.claims[a]b", undefined],
  ["@request.auth.claims.1.2.3.4.5.6.7.8.9", undefined],
  ["@request.auth.principal", undefined],
  ["x-user", undefined],
])("claimPath reads %j", (name, path) => {
  expect(claimPath(name)).toEqual(path);
  expect(isConditionName(name)).toBe(path !== undefined || name === "x-user");
});
