import { expect, test } from "vitest";

import { isVirtualIp, usableAddresses } from "./virtual-ips.js";

test("virtual IPs of both families are told from other addresses", () => {
  expect(["240.240.0.1", "2001:2::f0f0:1", "2001:2::f0f0:fffe"].every(isVirtualIp)).toBe(true);
  expect(["240.24.0.1", "10.0.0.1", "2001:2::1", "2001:db8::f0f0:1", "::1"].some(isVirtualIp)).toBe(false);
});

test("virtual IPs of IPv6 are for machines that have it, addresses that somebody wrote for all", () => {
  const both = ["240.240.0.1", "2001:2::f0f0:1"];
  expect(usableAddresses(both, () => true)).toEqual(both);
  expect(usableAddresses(both, () => false)).toEqual(["240.240.0.1"]);
  expect(usableAddresses(["10.0.0.1", "fd00::1"], () => false)).toEqual(["10.0.0.1", "fd00::1"]);
});
