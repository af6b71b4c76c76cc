import { expect, test } from "vitest";

import { isPublicAddress } from "./public-address.js";

test.each([
  "1.1.1.1",
  "11.0.0.1",
  "172.32.0.1",
  "192.169.0.1",
  "223.255.255.255",
  "2606:4700::1111",
  "2001:4860::8888",
])("%s is public", (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

test.each([
  ["this machine", "127.0.0.1"],
  ["this machine", "0.0.0.0"],
  ["this machine", "::1"],
  ["this machine", "::"],
  ["a private network", "10.0.0.1"],
  ["a private network", "172.16.0.1"],
  ["a private network", "192.168.1.1"],
  ["a private network", "fd00::1"],
  ["a provider's network", "100.100.100.200"],
  ["a metadata service", "169.254.169.254"],
  ["a metadata service", "fd00:ec2::254"],
  ["a metadata service", "168.63.129.16"],
  ["a link", "fe80::1"],
  ["virtual IPs of the mesh", "240.240.0.1"],
  ["virtual IPs of the mesh", "2001:2::f0f0:1"],
  ["everybody", "224.0.0.1"],
  ["everybody", "255.255.255.255"],
  ["everybody", "ff02::1"],
  ["another address", "64:ff9b::7f00:1"],
  ["another address", "2002:7f00:1::"],
  ["another address", "::ffff:127.0.0.1"],
  ["nothing", "localhost"],
])("an address of %s is not: %s", (_what, address) => {
  expect(isPublicAddress(address)).toBe(false);
});
