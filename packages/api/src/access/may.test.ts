import fc from "fast-check";
import { expect, test } from "vitest";

import { describeAction, may, SOME_NAMESPACE, type AccessAction, type AccessKind } from "./may.js";
import { ALL_NAMESPACES, isRole, ROLES, type Subject } from "./role.js";

const KINDS: readonly AccessKind[] = [
  "discovery",
  "config",
  "admission-policy",
  "secret",
  "registration",
  "mesh",
  "proxy",
  "join-token",
  "access-token",
];

function subject(role: Subject["role"], namespaces: Subject["namespaces"] = ALL_NAMESPACES): Subject {
  return { name: "token:t", role, namespaces, ...(role === "workload" ? { serviceAccount: "reviews" } : {}) };
}

/** `r` read, `w` read and write, `-` nothing, in the order of KINDS; asked in namespace `shop`. */
test.each([
  ["admin", "rwwwwwwww"],
  ["operator", "rwrwwrww-"],
  ["read-only", "rrr-rrr--"],
  ["workload", "r---w----"],
] as const)("may gives the role %s exactly %s", (role, rights) => {
  const granted = KINDS.map((kind) => {
    const ask = (verb: "read" | "write"): boolean =>
      may(subject(role, role === "workload" ? ["shop"] : ALL_NAMESPACES), {
        verb,
        kind,
        namespace: "shop",
        claims: ["reviews"],
      });
    return ask("write") ? (ask("read") ? "w" : "!") : ask("read") ? "r" : "-";
  });
  expect(granted.join("")).toBe(rights);
});

test("may holds a role to its namespaces, and what belongs to none is for those who may everywhere", () => {
  const shop = subject("operator", ["shop"]);
  const write = (who: Subject, namespace: string): boolean =>
    may(who, { verb: "write", kind: "config", namespace });
  expect(
    ["shop", "bank", "", ALL_NAMESPACES, SOME_NAMESPACE].map((namespace) => write(shop, namespace)),
  ).toEqual([true, false, false, false, true]);
  expect(["shop", "", ALL_NAMESPACES].every((namespace) => write(subject("operator"), namespace))).toBe(true);
  // A list can never say "all", nor can a namespace be called so.
  expect(write(subject("operator", [ALL_NAMESPACES]), ALL_NAMESPACES)).toBe(false);
  expect(write(subject("operator", [""]), "")).toBe(false);
  expect(write(subject("operator", []), SOME_NAMESPACE)).toBe(false);
});

test("may lets a workload write what claims nothing but its own account, in its own namespace", () => {
  const reviews = subject("workload", ["shop"]);
  const write = (namespace: string, ...claims: string[]): boolean =>
    may(reviews, { verb: "write", kind: "registration", namespace, claims });
  expect(write("shop", "reviews")).toBe(true);
  expect(write("shop", "reviews", "reviews")).toBe(true);
  // Another's account, and another's service under its own account, which its callers would then trust.
  expect(write("shop", "ratings")).toBe(false);
  expect(write("shop", "reviews", "ratings")).toBe(false);
  expect(write("shop")).toBe(false);
  expect(write("bank", "reviews")).toBe(false);
  const { serviceAccount: _, ...nobody } = reviews;
  expect(may(nobody, { verb: "write", kind: "registration", namespace: "shop" })).toBe(false);
});

test("may denies roles that it does not know", () => {
  for (const role of ["root", "", "__proto__", "constructor", "toString"]) {
    expect(isRole(role)).toBe(false);
    const stranger = { name: "x", role: role as "admin", namespaces: ALL_NAMESPACES } as const;
    expect(may(stranger, { verb: "read", kind: "discovery", namespace: "" })).toBe(false);
  }
});

test("may gives nobody more than an admin, and fewer namespaces never give more", () => {
  const action: fc.Arbitrary<AccessAction> = fc.record({
    verb: fc.constantFrom("read", "write"),
    kind: fc.constantFrom(...KINDS),
    namespace: fc.constantFrom("shop", "bank", "", ALL_NAMESPACES, SOME_NAMESPACE),
    claims: fc.subarray(["reviews", "ratings"]),
  });
  const namespaces = fc.subarray(["shop", "bank"]);
  fc.assert(
    fc.property(fc.constantFrom(...ROLES), namespaces, action, (role, some, wanted) => {
      if (!may(subject(role, some), wanted)) return;
      expect(may(subject("admin"), wanted)).toBe(true);
      expect(may(subject(role), wanted)).toBe(true);
    }),
  );
});

test("describeAction says what was wanted in words", () => {
  expect(describeAction({ verb: "write", kind: "registration", namespace: "shop", claims: ["a", "b"] })).toBe(
    "write registrations of a and b in namespace shop",
  );
  expect(describeAction({ verb: "read", kind: "mesh", namespace: ALL_NAMESPACES })).toBe(
    "read the state of the whole mesh",
  );
});
