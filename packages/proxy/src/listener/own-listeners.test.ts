import fc from "fast-check";
import { expect, test } from "vitest";

import { OwnListeners } from "./own-listeners.js";
import { plainAddress } from "./plain-address.js";

const LOCAL = ["127.0.0.1", "10.0.0.1", "fd00::1", "fe80::1"];

function listeningOn(...hosts: readonly string[]): OwnListeners {
  const own = new OwnListeners(() => LOCAL);
  for (const host of hosts) own.add({ host, port: 15_006 });
  return own;
}

test.each([
  "127.0.0.1",
  "127.1.2.3",
  "10.0.0.1",
  "0.0.0.0",
  "::",
  "::1",
  "0:0:0:0:0:0:0:1",
  "fd00::1",
  "FD00:0::0001",
  "fe80::1%eth0",
  "fe80::1",
  "::ffff:127.0.0.1",
  "::ffff:7f00:1",
  "::FFFF:10.0.0.1",
])("AZ-14: a listener on every address is reached at %s", (host) => {
  expect(listeningOn("::").has({ host, port: 15_006 })).toBe(true);
  expect(listeningOn("0.0.0.0").has({ host, port: 15_006 })).toBe(true);
  expect(listeningOn("::").has({ host, port: 15_007 })).toBe(false);
});

test.each([
  "10.0.0.2",
  "fd00::2",
  "::ffff:10.0.0.2",
  "fe80::2%eth0",
  "128.0.0.1",
  "",
  "localhost",
  "%",
  "::%",
])("AZ-14: no listener of this machine is reached at %j", (host) => {
  const expected = host === "::%";
  expect(listeningOn("::").has({ host, port: 15_006 })).toBe(expected);
});

test("a listener on one address is reached there only, however it is spelt", () => {
  const own = listeningOn("127.0.0.1", "::1");
  for (const host of ["127.0.0.1", "::ffff:127.0.0.1", "::1", "::1%lo"]) {
    expect(own.has({ host, port: 15_006 }), host).toBe(true);
  }
  for (const host of ["10.0.0.1", "127.0.0.2", "fd00::1"])
    expect(own.has({ host, port: 15_006 }), host).toBe(false);
});

test("OwnListeners asks for the machine's addresses by itself", () => {
  const own = new OwnListeners();
  own.add({ host: "0.0.0.0", port: 1 });
  expect(own.has({ host: "127.0.0.1", port: 1 })).toBe(true);
  expect(own.has({ host: "192.0.2.1", port: 1 })).toBe(false);
});

test("plainAddress gives every spelling of an address the same one, and never throws", () => {
  const mapped = fc.ipV4().map((v4) => [v4, `::ffff:${v4}`]);
  fc.assert(
    fc.property(mapped, ([v4 = "", v6 = ""]) => {
      expect(plainAddress(v6)).toBe(plainAddress(v4));
    }),
  );
  fc.assert(
    fc.property(fc.oneof(fc.ipV6(), fc.string({ unit: "binary" })), (text) => {
      const plain = plainAddress(text);
      expect(plainAddress(plain)).toBe(plain);
    }),
  );
});
