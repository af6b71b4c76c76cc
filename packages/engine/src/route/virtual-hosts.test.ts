import fc from "fast-check";
import { expect, test } from "vitest";
import { createHostIndex, withoutPort } from "./virtual-hosts.js";
import type { HostEntry } from "./virtual-hosts.js";

function index(domains: readonly string[], ignorePort = false) {
  const entries = domains.map((domain) => ({ domains: [domain], host: domain }));
  return createHostIndex("virtual_hosts", entries, ignorePort);
}

test("find prefers exact, then the longest suffix wildcard, then the longest prefix wildcard, then *", () => {
  const hosts = index(["*", "a.*", "a.b.*", "*.c", "*.b.c", "a.b.c"]);
  expect(hosts.find("a.b.c")).toBe("a.b.c");
  expect(hosts.find("x.b.c")).toBe("*.b.c");
  expect(hosts.find("x.y.c")).toBe("*.c");
  expect(hosts.find("a.b.d")).toBe("a.b.*");
  expect(hosts.find("a.x.d")).toBe("a.*");
  expect(hosts.find("x")).toBe("*");
});

test("find takes a wildcard for at least one character", () => {
  const hosts = index(["*.c", "*-bar.foo.com", "a.*"]);
  expect(hosts.find(".c")).toBeUndefined();
  expect(hosts.find("-bar.foo.com")).toBeUndefined();
  expect(hosts.find("baz-bar.foo.com")).toBe("*-bar.foo.com");
  expect(hosts.find("a.")).toBeUndefined();
});

test("find tells ports apart unless they are ignored", () => {
  expect(index(["reviews"]).find("reviews:9080")).toBeUndefined();
  expect(index(["reviews:9080"]).find("reviews:9080")).toBe("reviews:9080");
  expect(index(["reviews"], true).find("reviews:9080")).toBe("reviews");
});

// CVE-2026-27588: a table of many hosts was searched another way than one of few.
test("AZ-05: of many hosts each is found, whatever the case that it is written in", () => {
  const hosts = index(Array.from({ length: 300 }, (_, n) => `Host${n}.Example`));
  for (const n of [0, 99, 100, 101, 299]) expect(hosts.find(`host${n}.example`)).toBe(`Host${n}.Example`);
  expect(hosts.find("host300.example")).toBeUndefined();
});

test("createHostIndex refuses a domain that occurs twice, whatever its case", () => {
  expect(() => index(["a", "A"])).toThrow(
    'virtual_hosts[1].domains[0]: "A" is already a domain of this table',
  );
});

test("withoutPort keeps the brackets of IPv6 literals", () => {
  expect(withoutPort("[::1]:80")).toBe("[::1]");
  expect(withoutPort("[::1]")).toBe("[::1]");
  expect(withoutPort("a:80")).toBe("a");
});

test("find agrees with a linear search", () => {
  const label = fc.constantFrom("a", "b", "ab", "c");
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
  const domain = fc.oneof(
    name,
    name.map((one) => `*.${one}`),
    name.map((one) => `${one}.*`),
    fc.constant("*"),
  );
  fc.assert(
    fc.property(fc.uniqueArray(domain, { maxLength: 12 }), name, (domains, authority) => {
      const entries = domains.map((one) => ({ domains: [one], host: one }));
      expect(createHostIndex("", entries, false).find(authority)).toBe(search(entries, authority));
    }),
    { numRuns: 500 },
  );
});

function search(entries: readonly HostEntry<string>[], authority: string): string | undefined {
  const all = entries.map((entry) => entry.host);
  const longest = (list: string[]) => list.sort((left, right) => right.length - left.length)[0];
  if (all.includes(authority)) return authority;
  const fits = (fixed: string, test: boolean) => test && authority.length > fixed.length;
  const suffix = longest(
    all.filter((one) => one.startsWith("*.") && fits(one.slice(1), authority.endsWith(one.slice(1)))),
  );
  const prefix = longest(
    all.filter((one) => one.endsWith(".*") && fits(one.slice(0, -1), authority.startsWith(one.slice(0, -1)))),
  );
  return suffix ?? prefix ?? (all.includes("*") ? "*" : undefined);
}
