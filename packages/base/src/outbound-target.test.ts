import { expect, test } from "vitest";

import { classifyAddress, mayConnectFor } from "./outbound-target.js";

test.each([
  ["127.0.0.1", "loopback"],
  ["127.255.0.9", "loopback"],
  ["::1", "loopback"],
  ["0:0:0:0:0:0:0:1", "loopback"],
  ["::ffff:127.0.0.1", "loopback"],
  ["::ffff:7f00:1", "loopback"],
  ["64:ff9b::7f00:1", "loopback"],
  ["2002:7f00:1::", "loopback"],
  ["169.254.169.254", "link-local"],
  ["::ffff:169.254.169.254", "link-local"],
  ["::169.254.169.254", "link-local"],
  ["64:ff9b::a9fe:a9fe", "link-local"],
  ["100.100.100.200", "link-local"],
  ["192.0.0.192", "link-local"],
  ["::ffff:192.0.0.192", "link-local"],
  ["fe80::1", "link-local"],
  ["fe80::1%eth0", "link-local"],
  ["febf::1", "link-local"],
  ["fd00:ec2::254", "link-local"],
  ["0.0.0.0", "special"],
  ["0.1.2.3", "special"],
  ["::", "special"],
  ["::ffff:0.0.0.0", "special"],
  ["224.0.0.1", "special"],
  ["255.255.255.255", "special"],
  ["ff02::1", "special"],
  ["10.0.0.1", "other"],
  ["192.168.1.1", "other"],
  ["8.8.8.8", "other"],
  ["fd00::1", "other"],
  ["2001:db8::1", "other"],
  // Only what is an address counts: forms that some resolvers take are names, which are resolved first.
  ["2130706433", undefined],
  ["0177.0.0.1", undefined],
  ["0x7f.1", undefined],
  ["localhost", undefined],
  ["", undefined],
])("SSRF-01 classifyAddress %s is %s", (address, wanted) => expect(classifyAddress(address)).toBe(wanted));

test("mayConnectFor lets this machine be reached only where that is said, the link never", () => {
  expect(mayConnectFor("127.0.0.1", { loopback: true })).toBe(true);
  expect(mayConnectFor("127.0.0.1", { loopback: false })).toBe(false);
  expect(mayConnectFor("10.0.0.1", { loopback: false })).toBe(true);
  for (const address of ["169.254.169.254", "0.0.0.0", "ff02::1", "localhost", "2130706433"])
    expect(mayConnectFor(address, { loopback: true })).toBe(false);
});
