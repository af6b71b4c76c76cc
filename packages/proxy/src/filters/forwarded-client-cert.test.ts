import { expect, test } from "vitest";

import { forwardedClientCert } from "./forwarded-client-cert.js";

const OWN = "By=spiffe://a;URI=spiffe://b";
const SAID = ["X-Forwarded-Client-Cert", "URI=spiffe://c"];

test.each([
  ["none", OWN, SAID, ""],
  ["own", OWN, SAID, OWN],
  ["own", "", SAID, ""],
  ["append", OWN, SAID, `URI=spiffe://c,${OWN}`],
  ["append", OWN, [], OWN],
  ["append", "", SAID, ""],
  ["forward", OWN, SAID, "URI=spiffe://c"],
  ["forward", "", SAID, ""],
  ["always-forward", "", SAID, "URI=spiffe://c"],
  ["always-forward", "", [], ""],
] as const)("%s with %j and %j gives %j", (forwarding, own, received, value) => {
  expect(forwardedClientCert(forwarding, own, [...received])).toBe(value);
});
