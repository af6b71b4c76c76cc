import { expect, test } from "vitest";

import { clientAddress } from "./affinity.js";

test.each([
  ["", "192.0.2.1:4711", "192.0.2.1"],
  ["", "[2001:db8::1]:4711", "2001:db8::1"],
  ["198.51.100.7", "192.0.2.1:4711", "198.51.100.7"],
  ["", "", ""],
])("clientAddress of %j behind %j is %j", (forwardedFor, remoteAddress, expected) => {
  expect(clientAddress(forwardedFor, remoteAddress)).toBe(expected);
});
