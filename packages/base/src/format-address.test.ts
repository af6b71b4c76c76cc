import { expect, test } from "vitest";

import { formatAddress } from "./format-address.js";

test.each([
  ["127.0.0.1", "127.0.0.1:80"],
  ["reviews.default", "reviews.default:80"],
  ["fd00::1", "[fd00::1]:80"],
])("formatAddress puts %s before its port", (host, expected) => {
  expect(formatAddress(host, 80)).toBe(expected);
});
