import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { parseAccounts, parseNetworks, parsePorts } from "./rule-options.js";
import { removalScript, setupScript, type InterceptionRules } from "./rules.js";

const PLAIN: InterceptionRules = {
  outboundPort: 15_001,
  dnsPort: 15_053,
  excludeUsers: ["1337"],
  excludeGroups: [],
  includePorts: [],
  excludePorts: [],
  includeNetworks: [],
  excludeNetworks: [],
};

function golden(name: string): string {
  return readFileSync(new URL(`testdata/${name}.golden.nft`, import.meta.url), "utf8");
}

test("setupScript redirects everything but the sidecar's own and what stays on the machine", () => {
  expect(setupScript(PLAIN)).toBe(golden("plain"));
});

test("setupScript includes and excludes ports, networks, users and groups", () => {
  const script = setupScript({
    ...PLAIN,
    outboundPort: 25_001,
    dnsPort: undefined,
    excludeUsers: ["tulle", "root"],
    excludeGroups: ["1338"],
    includePorts: ["80", "8000-8100"],
    excludePorts: ["22", "5432"],
    includeNetworks: ["240.240.0.0/16", "10.0.0.0/8"],
    excludeNetworks: ["10.1.0.0/16"],
  });
  expect(script).toBe(golden("everything"));
});

test("setupScript begins with the removal of what was there", () => {
  expect(setupScript(PLAIN).startsWith(removalScript())).toBe(true);
});

test.each([
  [parsePorts, "80,8000-8100", ["80", "8000-8100"]],
  [parseNetworks, "10.0.0.0/8, 192.0.2.1", ["10.0.0.0/8", "192.0.2.1"]],
  [parseAccounts, "1337,tulle", ["1337", "tulle"]],
])("%o reads %s", (parse, text, expected) => {
  expect(parse(text)).toEqual(expected);
});

test.each([
  [parsePorts, ["", "0", "65536", "8100-8000", "80-90-100", "80 accept", "80;", "-80"]],
  [parseNetworks, ["", "10.0.0.0/33", "10.0.0", "fd00::/8", "10.0.0.0/8/8", "1.1.1.1 accept", "10.0.0.0/x"]],
  [parseAccounts, ["", "Root", "a b", "x}", "-1", "a".repeat(40), "a\nflush ruleset"]],
])("%o refuses what is not of its form", (parse, texts) => {
  for (const text of texts) expect(() => parse(text), text).toThrow("expected");
});
