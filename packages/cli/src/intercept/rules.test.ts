import { readFileSync } from "node:fs";

import fc from "fast-check";
import { expect, test } from "vitest";

import { iptablesRemoval, iptablesScript, ownLines, readSaved } from "./iptables-script.js";
import { nftRemoval, nftScript } from "./nft-script.js";
import { parseAccounts, parseNetworks, parsePorts, parsePortsOrAll } from "./rule-options.js";
import { chainsOf, type InterceptionRules } from "./rules.js";

const ALL = { includePorts: [], excludePorts: [], includeNetworks: [], excludeNetworks: [] };

const PLAIN: InterceptionRules = {
  outboundPort: 15_001,
  dnsPort: 15_053,
  excludeUsers: ["1337"],
  excludeGroups: [],
  outbound: ALL,
  inbound: undefined,
};

const EVERYTHING: InterceptionRules = {
  outboundPort: 25_001,
  dnsPort: undefined,
  excludeUsers: ["tulle", "root"],
  excludeGroups: ["1338"],
  outbound: {
    includePorts: ["80", "8000-8100"],
    excludePorts: ["22", "5432"],
    includeNetworks: ["240.240.0.0/16", "10.0.0.0/8", "2001:db8::/32"],
    excludeNetworks: ["10.1.0.0/16", "fd00::/8"],
  },
  inbound: {
    port: 25_006,
    includePorts: ["9080"],
    excludePorts: ["22"],
    includeNetworks: ["10.0.0.0/8"],
    excludeNetworks: ["10.2.0.1", "fd00::1"],
  },
};

const NOTHING = readSaved("");

function golden(name: string): string {
  return readFileSync(new URL(`testdata/${name}`, import.meta.url), "utf8");
}

test.each([
  ["plain", PLAIN],
  ["everything", EVERYTHING],
  ["inbound", { ...PLAIN, inbound: { ...ALL, port: 15_006, excludePorts: ["22"] } }],
])("the rules %s are written for nft and for iptables", (name, rules) => {
  const chains = chainsOf(rules);
  expect(nftScript(chains)).toBe(golden(`${name}.golden.nft`));
  expect(iptablesScript(chains, 4, NOTHING)).toBe(golden(`${name}.golden.iptables`));
  expect(iptablesScript(chains, 6, NOTHING)).toBe(golden(`${name}.golden.ip6tables`));
});

test("nftScript begins with the removal of what was there", () => {
  expect(nftScript(chainsOf(PLAIN)).startsWith(nftRemoval())).toBe(true);
});

test("iptablesScript leads to its chains once, however often it is run", () => {
  const saved = readSaved(
    "*nat\n:OUTPUT ACCEPT [0:0]\n:TULLE_OUTPUT - [0:0]\n-A OUTPUT -j TULLE_OUTPUT\n-A PREROUTING -j TULLE_PREROUTING\nCOMMIT\n",
  );
  const script = iptablesScript(chainsOf(PLAIN), 4, saved);
  expect(script).toContain(":TULLE_OUTPUT - [0:0]");
  expect(script).not.toContain("-j TULLE_");
});

test("iptablesScript has at most 15 ports in a rule", () => {
  const ports = ["1-2", ...Array.from({ length: 20 }, (_, index) => String(100 + index))];
  const chains = chainsOf({ ...PLAIN, outbound: { ...ALL, excludePorts: ports } });
  const groups = [...iptablesScript(chains, 4, NOTHING).matchAll(/--dports (\S+) -j RETURN/g)].map(
    ([, list]) => list,
  );
  expect(groups).toEqual([
    "1:2,100,101,102,103,104,105,106,107,108,109,110,111,112",
    "113,114,115,116,117,118,119",
  ]);
});

test("iptablesRemoval takes away what is there and nothing else", () => {
  expect(iptablesRemoval(NOTHING)).toBe("");
  const saved =
    "*nat\n:DOCKER - [0:0]\n:TULLE_OUTPUT - [0:0]\n-A OUTPUT -j TULLE_OUTPUT\n-A OUTPUT -j DOCKER\n";
  expect(iptablesRemoval(readSaved(saved))).toBe(
    "*nat\n-D OUTPUT -j TULLE_OUTPUT\n-F TULLE_OUTPUT\n-X TULLE_OUTPUT\nCOMMIT\n",
  );
  expect(ownLines(saved)).toEqual([":TULLE_OUTPUT - [0:0]", "-A OUTPUT -j TULLE_OUTPUT"]);
});

test.each([
  [parsePorts, "80,8000-8100", ["80", "8000-8100"]],
  [parsePortsOrAll, "9080", ["9080"]],
  [parsePortsOrAll, "all", []],
  [
    parseNetworks,
    "10.0.0.0/8, 192.0.2.1,fd00::/8,2001:db8::1",
    ["10.0.0.0/8", "192.0.2.1", "fd00::/8", "2001:db8::1"],
  ],
  [parseAccounts, "1337,tulle", ["1337", "tulle"]],
])("%o reads %s", (parse, text, expected) => {
  expect(parse(text)).toEqual(expected);
});

test.each([
  [parsePorts, ["", "0", "65536", "8100-8000", "80-90-100", "80 accept", "80;", "-80", "all"]],
  [
    parseNetworks,
    [
      "",
      "10.0.0.0/33",
      "10.0.0",
      "fd00::/129",
      "fe80::1%eth0",
      "fe80::1%eth0 accept",
      "::ffff:127.0.0.1",
      "10.0.0.0/8/8",
      "1.1.1.1 accept",
      "10.0.0.0/x",
      "10.0.0.0/",
    ],
  ],
  [parseAccounts, ["", "Root", "a b", "x}", "-1", "a".repeat(40), "a\nflush ruleset"]],
])("%o refuses what is not of its form", (parse, texts) => {
  for (const text of texts) expect(() => parse(text), text).toThrow("expected");
});

test("what the options accept never brings a word of its own into a script", () => {
  const word = fc.oneof(
    fc.string({ unit: "binary", maxLength: 12 }),
    fc.string({ unit: fc.constantFrom(..."0123456789abcdef:./-,; \n{}%".split("")), maxLength: 20 }),
    fc.ipV4(),
    fc.ipV6(),
  );
  fc.assert(
    fc.property(fc.constantFrom(parsePorts, parseNetworks, parseAccounts), word, (parse, text) => {
      let words: readonly string[];
      try {
        words = parse(text);
      } catch {
        return;
      }
      for (const each of words) expect(each).toMatch(/^[\w.:/-]+$/);
    }),
  );
});
