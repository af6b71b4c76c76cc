import { expect, test } from "vitest";
import { authorizationPolicyKind } from "./kind.js";
import { conditionKey } from "./condition-key.js";

const check = (spec: Record<string, unknown>) => authorizationPolicyKind.check({ spec });
const problems = (spec: Record<string, unknown>) => {
  const checked = check(spec);
  return checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
};
const from = (source: Record<string, unknown>) => ({ rules: [{ from: [{ source }] }] });
const to = (operation: Record<string, unknown>) => ({ rules: [{ to: [{ operation }] }] });
const when = (condition: Record<string, unknown>) => ({ rules: [{ when: [condition] }] });

test("check accepts every documented field, and an object without spec", () => {
  const spec = {
    selector: { matchLabels: { app: "reviews" } },
    action: "DENY",
    rules: [
      {
        from: [
          {
            source: {
              principals: ["cluster.local/ns/default/sa/a", "*", "cluster.local/*", "*/sa/x.y"],
              requestPrincipals: ["issuer/subject"],
              ipBlocks: ["10.0.0.0/8", "::1"],
              notRemoteIpBlocks: ["192.0.2.1"],
              trustDomains: ["cluster.local"],
            },
          },
          { source: { serviceAccounts: ["a", "default/a.b"] } },
        ],
        to: [
          {
            operation: {
              hosts: ["reviews", "*.example.com"],
              notPorts: ["9080"],
              methods: ["GET", "*"],
              paths: ["/a", "/a/*", "*/b", "/a/{*}/b/{**}", "/{*}"],
            },
          },
        ],
        when: [
          { key: "request.headers[X-User]", values: ["a*"] },
          { key: "request.auth.claims[realm][roles]", notValues: ["admin"] },
          { key: "destination.port", values: ["80"] },
        ],
      },
    ],
  };
  expect(check(spec)).toEqual({ ok: true, spec, warnings: [] });
  expect(authorizationPolicyKind.check({})).toEqual({ ok: true, spec: {}, warnings: [] });
  expect(check({ action: "CUSTOM", provider: { name: "opa" }, rules: [{}] }).ok).toBe(true);
});

test.each<[Record<string, unknown>, string]>([
  [{ action: "DENY" }, "spec.rules: must have at least one rule: DENY without rules never matches anything"],
  [{ action: "DENY", rules: [] }, "spec.rules: must have at least one rule"],
  [{ action: "CUSTOM", provider: { name: "x" } }, "spec.rules: must have at least one rule"],
  [{ action: "CUSTOM", rules: [{}] }, "spec.provider: is required with action CUSTOM"],
  [{ provider: { name: "x" }, rules: [{}] }, "spec.provider: is only for action CUSTOM"],
  [{ action: "allow" }, 'spec.action: expected one of ALLOW, DENY, AUDIT, CUSTOM, got "allow"'],
  [
    {
      action: "CUSTOM",
      provider: { name: "x" },
      rules: [{ from: [{ source: { requestPrincipals: ["*"] } }] }],
    },
    "spec.rules[0].from[0].source.requestPrincipals: cannot stand in a policy of action CUSTOM",
  ],
  [{ rules: [{ from: [] }] }, "spec.rules[0].from: must not be empty"],
  [{ rules: [{ to: [] }] }, "spec.rules[0].to: must not be empty"],
  [from({}), "spec.rules[0].from[0].source: must not be empty: it would match everything"],
  [from({ principals: [] }), "spec.rules[0].from[0].source: must not be empty"],
  [from({ principals: [""] }), "spec.rules[0].from[0].source.principals[0]: expected a value"],
  [from({ principals: ["a*b"] }), "spec.rules[0].from[0].source.principals[0]: expected a value, prefix*"],
  [from({ namespaces: ["a.*"] }), ""],
  [from({ namespaces: ["(a|b)"] }), "spec.rules[0].from[0].source.namespaces[0]: expected a namespace"],
  [
    from({ serviceAccounts: ["*"] }),
    "spec.rules[0].from[0].source.serviceAccounts[0]: expected a service account",
  ],
  [from({ serviceAccounts: ["a/b/c"] }), "serviceAccounts[0]: expected a service account"],
  [
    from({ serviceAccounts: ["a"], namespaces: ["b"] }),
    "spec.rules[0].from[0].source.namespaces: cannot stand together with serviceAccounts",
  ],
  [from({ ipBlocks: ["10.0.0.0/33"] }), "spec.rules[0].from[0].source.ipBlocks[0]: expected an IP address"],
  [from({ ipBlocks: ["fe80::1%eth0"] }), "ipBlocks[0]: expected an IP address"],
  [to({}), "spec.rules[0].to[0].operation: must not be empty"],
  [to({ ports: ["http"] }), "spec.rules[0].to[0].operation.ports[0]: expected a port number"],
  [to({ ports: ["080"] }), "spec.rules[0].to[0].operation.ports[0]: expected a port number"],
  [to({ paths: ["/{*}.txt"] }), 'paths[0]: "/{*}.txt" may have braces only as {*} and {**}'],
  [to({ paths: ["/{**}/a/{*}"] }), "has an operator after {**}"],
  [to({ paths: ["/{id}"] }), "may have braces only as {*} and {**}"],
  [to({ paths: ["/a/*/b"] }), "must be a value, prefix*, *suffix or *"],
  [to({ path: ["/a"] }), "spec.rules[0].to[0].operation.path: "],
  [when({ key: "request.headers[]", values: ["a"] }), 'key: "request.headers[]" is not known'],
  [when({ key: "source.IP", values: ["a"] }), "is not known; it must be one of request.headers[NAME]"],
  [when({ key: "source.ip", values: ["a"] }), "spec.rules[0].when[0].values[0]: expected an IP address"],
  [when({ key: "connection.sni" }), "spec.rules[0].when[0]: must not be empty"],
  [
    { selector: { matchLabels: { a: "b" } }, targetRefs: [{ kind: "Service", name: "a" }] },
    "cannot have selector and targetRefs",
  ],
  [{ targetRef: { kind: "Pod", name: "a" } }, "spec.targetRef.kind: must be one of Service"],
  [
    { targetRef: { kind: "Gateway", name: "a" } },
    'spec.targetRef.group: must be "gateway.networking.k8s.io"',
  ],
])("check of %j", (spec, expected) => {
  const found = problems(spec).join("\n");
  if (expected === "") expect(found).toBe("");
  else expect(found).toContain(expected);
});

test("check warns of denials that are wider than they look", () => {
  const warnings = (spec: Record<string, unknown>) => check(spec).warnings.join("\n");
  expect(warnings({ action: "DENY", ...to({ paths: ["/admin"] }) })).toContain(
    "on TCP ports in its scope it denies everything",
  );
  expect(warnings({ action: "DENY", ...to({ paths: ["/admin"], ports: ["80"] }) })).toBe("");
  expect(warnings(to({ paths: ["/admin"] }))).toBe("");
  expect(warnings(from({ principals: [], namespaces: ["a"] }))).toContain(
    "spec.rules[0].from[0].source.principals is empty: it is as if it were not there",
  );
});

test("keys of conditions are read in parts", () => {
  expect(conditionKey("request.headers[X-User]")).toEqual({
    kind: "header",
    path: ["x-user"],
    httpOnly: true,
  });
  expect(conditionKey("request.auth.claims[a.b][c]")?.path).toEqual(["a.b", "c"]);
  expect(conditionKey("connection.sni")?.httpOnly).toBe(false);
  for (const key of ["request.headers", "request.headers[a][b]", "constructor", "request.auth.claims[]"])
    expect(conditionKey(key)).toBeUndefined();
});
