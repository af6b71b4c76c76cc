import { formatSpiffeId } from "@tulle/base";
import fc from "fast-check";
import { expect, test } from "vitest";

import { isWorkloadAccount, parseWorkloadSpiffeId } from "./workload-id.js";

test("parseWorkloadSpiffeId reads what formatSpiffeId writes", () => {
  const account = { namespace: "default", serviceAccount: "reviews.v1-a" };
  const parts = { trustDomain: "cluster.local", ...account };
  expect(parseWorkloadSpiffeId(formatSpiffeId(parts))).toEqual(parts);
});

test("parseWorkloadSpiffeId refuses every other form", () => {
  for (const text of [
    "",
    "spiffe://cluster.local",
    "spiffe://cluster.local/",
    "SPIFFE://cluster.local/ns/a/sa/b",
    "spiffe://Cluster.local/ns/a/sa/b",
    "spiffe://cluster.local:443/ns/a/sa/b",
    "spiffe://user@cluster.local/ns/a/sa/b",
    "spiffe://cluster.local/ns/a/sa/b/",
    "spiffe://cluster.local/ns/a/sa/b/c",
    "spiffe://cluster.local/ns//sa/b",
    "spiffe://cluster.local/ns/a/sa/",
    "spiffe://cluster.local/ns/a/sa/..",
    "spiffe://cluster.local/ns/a/sa/b?x",
    "spiffe://cluster.local/ns/a/sa/b#x",
    "spiffe://cluster.local/ns/a/sa/b%00",
    "spiffe://cluster.local/ns/a/sa/b\0",
    "spiffe://cluster.local/ns/a/sa/b\n",
    "spiffe://cluster.local/ns/a/sa/b, URI:spiffe://cluster.local/ns/a/sa/admin",
    `spiffe://cluster.local/ns/a/sa/${"b".repeat(254)}`,
    ` spiffe://cluster.local/ns/a/sa/b`,
  ]) {
    expect(parseWorkloadSpiffeId(text), text).toBeUndefined();
  }
});

test("parseWorkloadSpiffeId accepts only what it would write the same way", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string(), (namespace, serviceAccount) => {
      const text = `spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`;
      const account = parseWorkloadSpiffeId(text);
      if (account === undefined) return;
      expect(isWorkloadAccount(account)).toBe(true);
      expect(formatSpiffeId(account)).toBe(text);
    }),
  );
});
