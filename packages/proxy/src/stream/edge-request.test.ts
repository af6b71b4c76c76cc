import fc from "fast-check";
import { expect, test } from "vitest";

import { isExternal, readEdge } from "./edge-request.js";

const connection = { remoteAddress: "192.0.2.9:4711", secure: false };
const read = (xff: readonly string[], trustedHops: number, more: readonly string[] = []) =>
  readEdge([...xff.flatMap((value) => ["X-Forwarded-For", value]), ...more], { trustedHops }, connection);

test("without trusted proxies the connection says who the client is, whatever it writes", () => {
  expect(read(["6.6.6.6"], 0, ["x-forwarded-proto", "https"])).toEqual({
    clientAddress: "192.0.2.9",
    forwardedFor: "192.0.2.9",
    scheme: "http",
    trusts: false,
  });
});

test("of N trusted proxies the last N addresses are believed, and the first of these is the client's", () => {
  expect(read(["6.6.6.6, 198.51.100.7"], 1, ["x-forwarded-proto", "HTTPS"])).toEqual({
    clientAddress: "198.51.100.7",
    forwardedFor: "198.51.100.7,192.0.2.9",
    scheme: "https",
    trusts: true,
  });
  // Several fields are one list, and some proxies write ports.
  expect(read(["6.6.6.6", "198.51.100.7:99", "[2001:DB8::1]:443"], 2)).toMatchObject({
    clientAddress: "198.51.100.7",
    forwardedFor: "198.51.100.7,2001:db8::1,192.0.2.9",
  });
});

test.each([
  ["nothing", []],
  ["less addresses than proxies", ["198.51.100.7"]],
  ["a name among them", ["198.51.100.7, localhost"]],
  ["an empty one", ["198.51.100.7,"]],
  ["a zone that is none", ["198.51.100.7, 1.2.3"]],
])("behind two proxies a request with %s is believed nothing", (_what, xff) => {
  expect(read(xff, 2)).toMatchObject({
    clientAddress: "192.0.2.9",
    forwardedFor: "192.0.2.9",
    trusts: false,
  });
});

test("what is sent on is addresses only, as many as are believed and one more", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 40 }), { maxLength: 6 }), fc.nat(4), (values, hops) => {
      const { forwardedFor, clientAddress, trusts } = read(values, hops);
      const addresses = forwardedFor.split(",");
      expect(addresses).toHaveLength(trusts ? hops + 1 : 1);
      expect(addresses[0]).toBe(clientAddress);
      expect(addresses.at(-1)).toBe("192.0.2.9");
      for (const address of addresses) expect(address).toMatch(/^[0-9a-f.:]+$/);
    }),
  );
});

test("isExternal is none of the private, shared, local and reserved networks", () => {
  const inside =
    "10.1.2.3 127.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.1.1 100.64.0.1 0.0.0.0 ::1 fe80::1 fd00::1";
  for (const address of inside.split(" ")) expect([address, isExternal(address)]).toEqual([address, false]);
  for (const address of ["8.8.8.8", "172.32.0.1", "100.128.0.1", "192.0.2.9", "2001:db8::1"])
    expect([address, isExternal(address)]).toEqual([address, true]);
});
