import fc from "fast-check";
import { expect, test } from "vitest";
import { EXACT_HOST, expandHost, hostMatch, parseAuthority, serviceNamed, writtenForms } from "./hosts.js";

const DOMAIN = "cluster.local";

test.each([
  ["reviews", "reviews", undefined],
  ["reviews:9080", "reviews", 9080],
  ["Reviews.Default:80", "reviews.default", 80],
  ["reviews.default.svc.cluster.local.", "reviews.default.svc.cluster.local", undefined],
  ["10.0.0.1:80", "10.0.0.1", 80],
  ["[::1]:8080", "::1", 8080],
  ["[2001:DB8::1]", "2001:db8::1", undefined],
])("parseAuthority reads %s", (text, host, port) => {
  expect(parseAuthority(text)).toEqual({ host, port });
});

test.each([
  "",
  ":80",
  "a:0",
  "a:65536",
  "a:080",
  "a:x",
  "*.a",
  "a b",
  "::1",
  "[a]",
  "u@a",
  ".a",
  "a..b",
  "a/b",
  "x".repeat(300),
])("parseAuthority refuses %j", (text) => {
  expect(parseAuthority(text)).toBeUndefined();
});

test("parseAuthority gives back what it was given for any authority that it reads", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => {
      const read = parseAuthority(text);
      if (read === undefined) return;
      const host = read.host.includes(":") ? `[${read.host}]` : read.host;
      expect(parseAuthority(read.port === undefined ? host : `${host}:${read.port}`)).toEqual(read);
    }),
  );
});

test.each([
  ["reviews", { namespace: "shop", name: "reviews" }],
  ["reviews.default", { namespace: "default", name: "reviews" }],
  ["reviews.default.svc", { namespace: "default", name: "reviews" }],
  ["reviews.default.svc.cluster.local", { namespace: "default", name: "reviews" }],
  ["a.b.default.svc.cluster.local", { namespace: "default", name: "a.b" }],
  ["10.0.0.1", undefined],
  ["::1", undefined],
  ["*.default", undefined],
])("serviceNamed finds the service that %s names", (host, expected) => {
  expect(serviceNamed(host, "shop", DOMAIN)).toEqual(expected);
});

test("expandHost completes short names and leaves others alone", () => {
  expect(expandHost("reviews", "shop", DOMAIN)).toBe("reviews.shop.svc.cluster.local");
  expect(expandHost("reviews.shop.svc", "x", DOMAIN)).toBe("reviews.shop.svc.cluster.local");
  expect(expandHost("example.com", "shop", DOMAIN)).toBe("example.com");
  expect(expandHost("*", "shop", DOMAIN)).toBe("*");
});

test.each([
  ["reviews", EXACT_HOST],
  ["reviews.shop", EXACT_HOST],
  ["reviews.shop.svc", EXACT_HOST],
  ["reviews.shop.svc.cluster.local", EXACT_HOST],
  ["REVIEWS", EXACT_HOST],
  ["*.shop.svc.cluster.local", "*.shop.svc.cluster.local".length],
  ["*.local", "*.local".length],
  ["*", 1],
  ["ratings", 0],
  ["*.other.svc.cluster.local", 0],
])("hostMatch ranks the pattern %s", (pattern, rank) => {
  expect(hostMatch(pattern, "shop", "reviews.shop.svc.cluster.local", DOMAIN)).toBe(rank);
});

test("hostMatch takes a short name for the namespace that it was written in only", () => {
  expect(hostMatch("reviews", "other", "reviews.shop.svc.cluster.local", DOMAIN)).toBe(0);
});

test("writtenForms names the short form in the service's own namespace only", () => {
  const host = "reviews.shop.svc.cluster.local";
  const forms = [host, "reviews.shop.svc", "reviews.shop"];
  expect(writtenForms(host, "shop", DOMAIN)).toEqual([...forms, "reviews"]);
  expect(writtenForms(host, "default", DOMAIN)).toEqual(forms);
  expect(writtenForms("example.com", "shop", DOMAIN)).toEqual(["example.com"]);
});

test("writtenForms gives forms that all name the same service", () => {
  for (const form of writtenForms("reviews.shop.svc.cluster.local", "shop", DOMAIN)) {
    expect(serviceNamed(form, "shop", DOMAIN)).toEqual({ namespace: "shop", name: "reviews" });
  }
});
