import fc from "fast-check";
import { expect, test } from "vitest";

import { readSockaddr, writeSockaddr } from "./sockaddr.js";

test("readSockaddr reads IPv4 and IPv6 addresses as the kernel writes them", () => {
  const v4 = Buffer.from("0200238c0a63000100000000000000000000".slice(0, 32), "hex");
  expect(readSockaddr(v4)).toEqual({ host: "10.99.0.1", port: 9100 });
  const v6 = Buffer.from(`0a00238c00000000fd00${"00".repeat(13)}0100000000`, "hex");
  expect(readSockaddr(v6)).toEqual({ host: "fd00::1", port: 9100 });
  const mapped = Buffer.from(`0a00238c00000000${"00".repeat(10)}ffff7f00000100000000`, "hex");
  expect(readSockaddr(mapped)).toEqual({ host: "127.0.0.1", port: 9100 });
  // An interface that there is not.
  const linkLocal = Buffer.from(`0a00238c00000000fe80${"00".repeat(13)}01ffffffff`, "hex");
  expect(readSockaddr(linkLocal)).toEqual({ host: "fe80::1", port: 9100 });
});

test("writeSockaddr writes what readSockaddr reads", () => {
  const port = fc.integer({ min: 0, max: 65_535 });
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), port, (host, at) => {
      const bytes = writeSockaddr(host, at);
      const canonical = host.includes(":") ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host;
      expect(readSockaddr(bytes)).toEqual({ host: canonical, port: at });
      expect(bytes.readUInt16LE(0)).toBe(host.includes(":") ? 10 : 2);
    }),
  );
});
