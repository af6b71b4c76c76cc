import { create } from "@bufbuild/protobuf";
import { RBAC_Action, RBACSchema } from "@tulle/xds/gen/envoy/config/rbac/v3/rbac_pb.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Facts } from "../contract.js";
import { addressBytes, IpRange } from "./ip-range.js";
import { pathClass } from "./path-class.js";
import { readingsOf } from "./path-readings.js";
import { PathTemplate } from "./path-template.js";
import { holds } from "./condition.js";
import { compileRbac } from "./rbac.js";

describe("what is looked up is what is found one by one", () => {
  const paths = ["/a", "/b", "/a/b", "/%61", "//a", "/c"];
  const path = fc.constantFrom(...paths);
  const header = fc.constantFrom("x-a", "x-b", "x-role");
  const text = (value: string) => ({ matchPattern: { case: "exact" as const, value } });
  const permission = fc.oneof(
    path.map((value) => ({
      rule: { case: "urlPath" as const, value: { rule: { case: "path" as const, value: text(value) } } },
    })),
    path.map((value) => ({
      rule: {
        case: "urlPath" as const,
        value: {
          rule: { case: "path" as const, value: { matchPattern: { case: "prefix" as const, value } } },
        },
      },
    })),
    header.map((name) => ({
      rule: {
        case: "header" as const,
        value: { name, headerMatchSpecifier: { case: "stringMatch" as const, value: text("1") } },
      },
    })),
    fc.constant({ rule: { case: "any" as const, value: true } }),
    header.map((name) => ({
      rule: {
        case: "notRule" as const,
        value: {
          rule: {
            case: "header" as const,
            value: { name, headerMatchSpecifier: { case: "presentMatch" as const, value: true } },
          },
        },
      },
    })),
  );
  const both = fc
    .array(permission, { minLength: 1, maxLength: 3 })
    .map((rules) => ({ rule: { case: "andRules" as const, value: { rules } } }));
  const principal = fc.oneof(
    fc.constant({ identifier: { case: "any" as const, value: true } }),
    fc.constantFrom("spiffe://t/a", "spiffe://t/b").map((value) => ({
      identifier: { case: "authenticated" as const, value: { principalName: text(value) } },
    })),
    fc.constant({
      identifier: { case: "directRemoteIp" as const, value: { addressPrefix: "10.0.0.0", prefixLen: 8 } },
    }),
  );
  const policy = fc.record({
    permissions: fc.array(fc.oneof(permission, both), { minLength: 1, maxLength: 3 }),
    principals: fc.array(principal, { minLength: 1, maxLength: 2 }),
  });
  const action = fc.constantFrom(RBAC_Action.ALLOW, RBAC_Action.DENY);
  const facts = fc.record({
    path,
    headers: fc.array(fc.tuple(fc.constantFrom("x-a", "X-A", "x-b", "X-Role"), fc.constantFrom("1", "2")), {
      maxLength: 4,
    }),
    principal: fc.constantFrom("spiffe://t/a", "spiffe://t/b", undefined),
    source: fc.constantFrom("10.1.1.1", "192.0.2.1", "?"),
  });

  test("for any policies and requests", () => {
    fc.assert(
      fc.property(
        action,
        fc.array(policy, { maxLength: 24 }),
        fc.array(facts, { minLength: 1, maxLength: 8 }),
        (kind, policies, asked) => {
          const named = Object.fromEntries(
            policies.map((one, index) => [`p${String(index).padStart(2, "0")}`, one]),
          );
          const rbac = compileRbac("rules", create(RBACSchema, { action: kind, policies: named }))!;
          for (const { path: target, headers, principal: who, source } of asked) {
            const connection = {
              sourceAddress: source,
              destinationAddress: "10.0.0.1",
              destinationPort: 80,
              serverName: "",
            };
            const request: Facts = {
              request: {
                method: "GET",
                path: target,
                authority: "a",
                scheme: "http",
                headers: headers.flat(),
              },
              principal: who,
              remoteAddress: "10.0.0.9:1",
              connection,
            };
            const plain = rbac.policies.find(({ condition }) => holds(condition, request));
            expect(rbac.find(request)?.name).toBe(plain?.name);
            expect(rbac.find(request)?.name).toBe(plain?.name);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

test.each([
  ["10.0.0.0", 8, "10.255.0.1", true],
  ["10.0.0.0", 9, "10.128.0.1", false],
  ["10.0.0.1", 31, "10.0.0.0", true],
  ["0.0.0.0", 0, "192.0.2.1", true],
  ["0.0.0.0", 0, "2001:db8::1", false],
  ["2001:db8::", 33, "2001:db8:8000::1", false],
  ["::ffff:10.0.0.0", 104, "10.1.1.1", true],
])("%s/%d has %s: %s", (prefix, bits, address, expected) => {
  expect(IpRange.parse(prefix, bits)?.has(addressBytes(address)!)).toBe(expected);
});

test("blocks that are none are none", () => {
  for (const [prefix, bits] of [
    ["10.0.0.0", 33],
    ["10.0.0", 8],
    ["010.0.0.1", 8],
    ["::1", 129],
    ["", 0],
  ] as const)
    expect(IpRange.parse(prefix, bits)).toBeUndefined();
  expect(addressBytes("fe80::1%eth0")).toEqual(addressBytes("fe80::1"));
});

test("templates match in linear time what a plain reading of them does", () => {
  const segment = fc.constantFrom("a", "b", "*", "a.b", "..");
  fc.assert(
    fc.property(
      fc.array(segment, { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      fc.array(fc.constantFrom("a", "b", "a.b", "..", ""), { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      (segments, open, asked, inDoubt) => {
        const text = `/${[...segments, ...(open ? ["**"] : [])].join("/")}`;
        const path = `/${asked.join("/")}`;
        const part = inDoubt ? "[^/]+" : "(?!\\.\\.(?:/|$))[^/]+";
        const rest = inDoubt ? ".*" : "(?!(?:.*/)?\\.\\.(?:/|$)).*";
        const pattern = [
          ...segments.map((one) => (one === "*" ? part : one.replaceAll(".", "\\."))),
          ...(open ? [rest] : []),
        ];
        const expected = new RegExp(`^/${pattern.join("/")}$`).test(path);
        expect([text, path, new PathTemplate("p", text, inDoubt).matches(path)]).toEqual([
          text,
          path,
          expected,
        ]);
      },
    ),
    { numRuns: 1000 },
  );
});

test("the first reading of a path is the path, and usual paths have no other", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), (text) => {
      const readings = readingsOf(`/${text}`);
      expect(readings[0]).toBe(`/${text}`);
      expect(readings.length).toBeLessThanOrEqual(5);
    }),
  );
  expect(readingsOf("/api/v1/orders.html")).toEqual(["/api/v1/orders.html"]);
  expect(readingsOf("/.well-known/x")).toEqual(["/.well-known/x"]);
  expect(readingsOf("/x//../private")).toEqual(["/x//../private", "/private", "/x/private"]);
});

test("the kind of a path has its identifiers left out, and says nothing that no policy can say", () => {
  expect(pathClass("/orders/7/lines/0b9c3b6e-7a52-4c8e-9b7e-2f0d7d0f9a11")).toBe("/orders/{*}/lines/{*}");
  expect(pathClass("/v1/deadbeef01/abcdef")).toBe("/v1/{*}/abcdef");
  expect(pathClass("/")).toBe("/");
  expect(pathClass("/a/")).toBe("/a/");
  for (const odd of ["*", "/a b", "/a{b}", "/../a", "/a//b", "/%41", "/a;x=1/b", `/${"a/".repeat(20)}`])
    expect(pathClass(odd)).toBe("");
});
