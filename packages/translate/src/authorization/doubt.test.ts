import fc from "fast-check";
import { expect, test } from "vitest";

import { guardOf, policy, type Caller } from "../../testdata/guard.js";

// Doubt opens nothing: whoever a rule lets through as ALLOW is refused by the same rule as DENY, however a request is written.

const value = fc.constantFrom("admin", "user", "adm*", "*min", "*", "user,admin", "a");
const lists = (name: string, values: fc.Arbitrary<string>) =>
  fc
    .tuple(fc.boolean(), fc.uniqueArray(values, { minLength: 1, maxLength: 2 }))
    .map(([not, list]) => ({ [not ? `not${name[0]!.toUpperCase()}${name.slice(1)}` : name]: list }));
const condition = lists("values", value).map((one) => ({
  when: [{ key: "request.headers[x-role]", ...one }],
}));
const operation = fc
  .oneof(
    lists("methods", fc.constantFrom("GET", "POST", "P*", "get")),
    lists("paths", fc.constantFrom("/admin", "/admin/*", "/x/{*}", "/{**}", "*min", "/a%20b")),
    lists("hosts", fc.constantFrom("secret.com", "*.com", "secret.com:80")),
  )
  .map((one) => ({ to: [{ operation: one }] }));
const rule = fc.oneof(
  condition,
  operation,
  fc.tuple(condition, operation).map(([one, other]) => ({ ...one, ...other })),
);

const segment = fc.constantFrom(
  "admin",
  "x",
  "..",
  ".",
  "",
  "%61dmin",
  "%2e%2e",
  "admin;a",
  "admin%00",
  "a%20b",
  "%2f",
);
const role = fc.constantFrom(
  "admin",
  "user",
  "a",
  "",
  "user,admin",
  "admin,admin",
  "user , admin",
  ",",
  "ADMIN",
);
const caller: fc.Arbitrary<Caller> = fc.record({
  method: fc.constantFrom("GET", "get", "GeT", "POST", "post", "PATCH", "X"),
  path: fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => `/${segments.join("/")}`),
  host: fc.constantFrom("secret.com", "Secret.com", "secret.com:80", "secret.com:8080", "a.com", "b"),
  headers: fc.array(role, { maxLength: 3 }).map((values) => values.flatMap((one) => ["X-Role", one])),
});

test("whom a rule allows, it denies as DENY", () => {
  fc.assert(
    fc.property(rule, fc.array(caller, { minLength: 20, maxLength: 20 }), (one, callers) => {
      const spec = `rules: [${JSON.stringify(one)}]`;
      const allow = guardOf(policy("p", spec));
      const deny = guardOf(policy("p", `action: DENY, ${spec}`));
      for (const each of callers) {
        const [allowed, denied] = [allow.http(each) === "200", deny.http(each) !== "200"];
        expect([each, allowed && !denied]).toEqual([each, false]);
      }
    }),
    { numRuns: 80 },
  );
});

/** The same list under the other name: `values` for `notValues`. */
function opposite(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).map(([name, list]) => [
      name.startsWith("not")
        ? name[3]!.toLowerCase() + name.slice(4)
        : `not${name[0]!.toUpperCase()}${name.slice(1)}`,
      list as unknown,
    ]),
  );
}

test("whom a rule denies, the opposite rule does not allow", () => {
  const single = lists("values", value).map(
    (fields) =>
      [fields, opposite(fields)].map((one) => ({ when: [{ key: "request.headers[x-role]", ...one }] })) as [
        object,
        object,
      ],
  );
  const of = (name: string, values: fc.Arbitrary<string>) =>
    lists(name, values).map(
      (fields) => [fields, opposite(fields)].map((one) => ({ to: [{ operation: one }] })) as [object, object],
    );
  const pair = fc.oneof(
    single,
    of("methods", fc.constantFrom("GET", "POST", "P*")),
    of("paths", fc.constantFrom("/admin", "/admin/*", "/x/{*}", "/{**}", "*min", "/a%20b")),
    of("hosts", fc.constantFrom("secret.com", "*.com", "secret.com:80")),
  );
  fc.assert(
    fc.property(pair, fc.array(caller, { minLength: 20, maxLength: 20 }), ([one, other], callers) => {
      const deny = guardOf(policy("p", `action: DENY, rules: [${JSON.stringify(one)}]`));
      const allow = guardOf(policy("p", `rules: [${JSON.stringify(other)}]`));
      for (const each of callers) {
        const [denied, allowed] = [deny.http(each) !== "200", allow.http(each) === "200"];
        expect([each, denied && allowed]).toEqual([each, false]);
      }
    }),
    { numRuns: 80 },
  );
});
