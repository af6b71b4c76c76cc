import { describe, expect, test } from "vitest";
import { ALICE, guardOf, policy, WORKLOAD, type Caller } from "../../testdata/guard.js";

const BOB = "cluster.local/ns/other/sa/bob";
const NONE = "403 rbac_access_denied_matched_policy[none]";
const by = (name: string, rule = 0, namespace = "default") =>
  `403 rbac_access_denied_matched_policy[ns[${namespace}]-policy[${name}]-rule[${rule}]]`;

describe("the order of actions", () => {
  test("without policies everything is let through", () => {
    const guard = guardOf("");
    expect(guard.http({})).toBe("200");
    expect(guard.tcp({ principal: ALICE })).toBe("open");
  });

  test("AZ-10: an ALLOW policy without rules allows nothing, one with an empty rule everything", () => {
    expect(guardOf(policy("none", "")).http({})).toBe(NONE);
    expect(guardOf(policy("none", "")).tcp({ principal: ALICE })).toBe(NONE.slice(4));
    expect(guardOf(policy("none", "") + policy("all", "rules: [{}]")).http({})).toBe("200");
  });

  test("AZ-10: DENY comes before ALLOW", () => {
    const guard = guardOf(
      policy("allow", "rules: [{from: [{source: {principals: ['*']}}]}]") +
        policy("deny", "action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]"),
    );
    expect(guard.http({ principal: ALICE })).toBe("200");
    expect(guard.http({ principal: ALICE, method: "POST" })).toBe(by("deny"));
    expect(guard.http({})).toBe(NONE);
  });

  test("AZ-10: CUSTOM comes before DENY and ALLOW, and asks a provider that a MeshConfig of the root namespace has, about what its rules hold for", () => {
    const ask = "action: CUSTOM, provider: {name: opa}, rules: [{to: [{operation: {paths: [/a]}}]}]";
    const provider = (namespace: string) =>
      `---\napiVersion: tulle.dev/v1\nkind: MeshConfig\nmetadata: {name: mesh, namespace: ${namespace}}\n` +
      "spec: {extensionProviders: [{name: opa, envoyExtAuthzGrpc: {service: default/reviews, port: 80}}]}\n";
    const guard = guardOf(
      policy("ask", ask) +
        policy("deny", "action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]") +
        provider("istio-system"),
    );
    for (const principal of [ALICE, undefined]) {
      const caller = principal === undefined ? {} : { principal };
      expect(guard.http({ ...caller, path: "/a" })).toBe("need");
      expect(guard.http({ ...caller, path: "/b" })).toBe("200");
      expect(guard.http({ ...caller, path: "/b", method: "POST" })).toBe(by("deny"));
    }
    expect(guard.noted).toEqual([
      { kind: "enforced", allowed: false, policy: "ns[default]-policy[deny]-rule[0]" },
    ]);
    expect(guardOf(policy("ask", ask) + provider("default")).http({ path: "/a" })).toBe(by("ask"));
  });

  test("CUSTOM asks about connections that carry bytes, over gRPC alone", () => {
    const provider = (service: string) =>
      "---\napiVersion: tulle.dev/v1\nkind: MeshConfig\nmetadata: {name: mesh, namespace: istio-system}\n" +
      `spec: {extensionProviders: [{name: opa, ${service}: {service: default/reviews, port: 80}}]}\n`;
    const custom = (rules: string) =>
      policy("ask", `action: CUSTOM, provider: {name: opa}, rules: [${rules}]`);
    const deny = policy("deny", `action: DENY, rules: [{from: [{source: {principals: [${BOB}]}}]}]`);
    const tcp = (rules: string, principal = ALICE, service = "envoyExtAuthzGrpc") =>
      guardOf(custom(rules) + deny + provider(service)).tcp({ principal });
    const asks = "asks ext_authz grpc outbound|80||reviews.default.svc.cluster.local";
    expect(tcp("{}")).toBe(asks);
    // Before DENY has its say.
    expect(tcp("{}", BOB)).toBe(asks);
    expect(tcp(`{from: [{source: {principals: [${BOB}]}}]}`)).toBe("open");
    expect(tcp("{to: [{operation: {ports: ['1']}}]}", BOB)).toBe(by("deny").slice(4));
    // What only HTTP has does not narrow what is asked about.
    expect(tcp("{to: [{operation: {paths: [/a]}}]}")).toBe(asks);
    expect(tcp("{when: [{key: 'request.headers[x]', values: [y]}]}")).toBe(asks);
    // An HTTP service cannot be asked, nor can one that nobody knows.
    expect(tcp("{}", ALICE, "envoyExtAuthzHttp")).toBe(by("ask").slice(4));
    expect(guardOf(custom("{}")).tcp({ principal: ALICE })).toBe(by("ask").slice(4));
  });

  test("CUSTOM of somebody who is not known refuses what it would ask about", () => {
    const guard = guardOf(
      policy("ask", "action: CUSTOM, provider: {name: nobody}, rules: [{to: [{operation: {paths: [/a]}}]}]"),
    );
    expect(guard.http({ path: "/a" })).toBe(by("ask"));
    expect(guard.http({ path: "/b" })).toBe("200");
  });

  test("AUDIT notes and refuses nothing", () => {
    const guard = guardOf(policy("audit", "action: AUDIT, rules: [{to: [{operation: {paths: [/a]}}]}]"));
    expect(guard.http({ path: "/a" })).toBe("200");
    expect(guard.noted).toEqual([
      { kind: "audit", allowed: true, policy: "ns[default]-policy[audit]-rule[0]" },
    ]);
    expect(guard.http({ path: "/b" })).toBe("200");
    expect(guard.noted).toEqual([]);
  });

  test("AZ-10: a dry run refuses nothing, and says what it would do", () => {
    const dry = "annotations: {istio.io/dry-run: 'true'}";
    const guard = guardOf(policy("deny", "action: DENY, rules: [{to: [{operation: {paths: [/a]}}]}]", dry));
    expect(guard.http({ path: "/a" })).toBe("200");
    expect(guard.noted).toEqual([
      { kind: "shadow", allowed: false, policy: "ns[default]-policy[deny]-rule[0]" },
    ]);
    const allow = guardOf(policy("allow", "", dry));
    expect(allow.http({})).toBe("200");
    expect(allow.noted).toEqual([{ kind: "shadow", allowed: false, policy: "" }]);
    expect(allow.tcp({ principal: ALICE })).toBe("open");
    // What is no boolean enforces.
    expect(guardOf(policy("allow", "", "annotations: {istio.io/dry-run: 'yes'}")).http({})).toBe(NONE);
  });
});

describe("trust domains", () => {
  const names = { trustDomain: "new.example", trustDomainAliases: ["old.example"] };
  const guard = (yaml: string) => guardOf(yaml, WORKLOAD, names);
  const as = (principal: string): Caller => ({ principal });
  const OURS = ["new.example", "old.example"].map((domain) => as(`${domain}/ns/default/sa/alice`));
  const THEIRS = as("other.example/ns/default/sa/alice");

  test.each(["new.example", "old.example", "cluster.local"])(
    "AZ-10: a principal of %s is the same one under every name of the mesh, and no other's",
    (domain) => {
      const rule = `rules: [{from: [{source: {principals: [${domain}/ns/default/sa/alice]}}]}]`;
      for (const caller of OURS) {
        expect(guard(policy("p", rule)).http(caller)).toBe("200");
        expect(guard(policy("p", `action: DENY, ${rule}`)).http(caller)).toBe(by("p"));
      }
      expect(guard(policy("p", rule)).http(THEIRS)).toBe(NONE);
      expect(guard(policy("p", `action: DENY, ${rule}`)).http(THEIRS)).toBe("200");
    },
  );
});

describe("whom policies hold for", () => {
  const deny = "action: DENY, rules: [{}]";
  const root = (spec: string) => policy("p", spec).replace("namespace: default", "namespace: istio-system");

  test.each<[string, string, boolean]>([
    ["the namespace", policy("p", deny), true],
    ["another namespace", policy("p", deny).replace("namespace: default", "namespace: other"), false],
    ["the mesh", root(deny), true],
    ["the mesh's workloads with labels", root(`selector: {matchLabels: {app: reviews}}, ${deny}`), true],
    ["its labels", policy("p", `selector: {matchLabels: {app: reviews}}, ${deny}`), true],
    ["other labels", policy("p", `selector: {matchLabels: {app: ratings}}, ${deny}`), false],
    ["its service", policy("p", `targetRefs: [{kind: Service, name: reviews}], ${deny}`), true],
    ["another service", policy("p", `targetRefs: [{kind: Service, name: ratings}], ${deny}`), false],
    [
      "a gateway",
      policy("p", `targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: g}, ${deny}`),
      false,
    ],
  ])("a policy for %s", (_, yaml, holds) => {
    const guard = guardOf(yaml);
    expect(guard.http({}) === "200").toBe(!holds);
    expect(guard.http({ principal: ALICE }) === "200").toBe(!holds);
  });
});

/** What one rule of ALLOW, and the same of DENY, make of callers: each is let through by one of the two at most. */
function decides(rule: string, matching: readonly Caller[], others: readonly Caller[]): void {
  const allow = guardOf(policy("p", `rules: [{${rule}}]`));
  const deny = guardOf(policy("p", `action: DENY, rules: [{${rule}}]`));
  for (const caller of matching) {
    expect([caller, allow.http(caller)]).toEqual([caller, "200"]);
    expect([caller, deny.http(caller)]).toEqual([caller, by("p")]);
  }
  for (const caller of others) {
    expect([caller, allow.http(caller)]).toEqual([caller, NONE]);
    expect([caller, deny.http(caller)]).toEqual([caller, "200"]);
  }
}

const source = (fields: string) => `from: [{source: {${fields}}}]`;
const operation = (fields: string) => `to: [{operation: {${fields}}}]`;
const when = (key: string, rest: string) => `when: [{key: '${key}', ${rest}}]`;
const as = (principal: string): Caller => ({ principal });

describe("sources", () => {
  test("principals: exact, prefix, suffix, anybody", () => {
    decides(source(`principals: [${ALICE}]`), [as(ALICE)], [as(BOB), as(`${ALICE}x`), as(`x${ALICE}`), {}]);
    decides(source("principals: ['cluster.local/ns/default/*']"), [as(ALICE)], [as(BOB), {}]);
    decides(source("principals: ['*/sa/alice']"), [as(ALICE)], [as(BOB), as(`${ALICE}x`), {}]);
    decides(source("principals: ['*']"), [as(ALICE), as(BOB)], [{}]);
    decides(source(`notPrincipals: [${ALICE}]`), [as(BOB), {}], [as(ALICE)]);
    // As written in certificates.
    decides(source(`principals: ['spiffe://${ALICE}']`), [as(ALICE)], [as(BOB)]);
  });

  test("AZ-09: dots are dots", () => {
    const dotted = "cluster.local/ns/default/sa/x.y";
    const similar = ["cluster.local/ns/default/sa/xzy", "clusterzlocal/ns/default/sa/x.y"].map(as);
    decides(source(`principals: [${dotted}]`), [as(dotted)], similar);
    decides(
      source("serviceAccounts: [x.y]"),
      [as(dotted)],
      [similar[0]!, as(`${dotted}z`), as("cluster.local/ns/other/sa/x.y"), {}],
    );
    decides(
      source("serviceAccounts: [other/x.y]"),
      [as("cluster.local/ns/other/sa/x.y")],
      [as(dotted), as("cluster.local/ns/an-other/sa/x.y")],
    );
    decides(source("namespaces: ['a.b*']"), [as("t/ns/a.bc/sa/x")], [as("t/ns/azb/sa/x")]);
  });

  test("namespaces, also where a name looks like a part of the id", () => {
    decides(
      source("namespaces: [default]"),
      [as(ALICE)],
      [as(BOB), as("cluster.local/ns/default2/sa/a"), {}],
    );
    decides(source("namespaces: ['def*']"), [as(ALICE)], [as(BOB), as("cluster.local/ns/xdef/sa/a"), {}]);
    decides(source("namespaces: ['*ult']"), [as(ALICE)], [as(BOB), {}]);
    decides(source("namespaces: [sa]"), [as("t/ns/sa/sa/x")], [as("t/ns/ns/sa/x")]);
    decides(source("namespaces: ['sa*']"), [as("t/ns/sab/sa/x")], [as("t/ns/ns/sa/x")]);
    decides(source("notNamespaces: [default]"), [as(BOB), {}], [as(ALICE)]);
  });

  test("trust domains", () => {
    decides(
      source("trustDomains: [cluster.local]"),
      [as(ALICE)],
      [as("cluster.local.evil/ns/a/sa/b"), as("cluster/ns/a/sa/b"), {}],
    );
    decides(
      source("trustDomains: ['*.example']"),
      [as("a.example/ns/a/sa/b")],
      [as("aexample/ns/a/sa/b"), as("b/ns/a.example/sa/b")],
    );
  });

  test("AZ-14: addresses in every spelling", () => {
    const from = (address: string): Caller => ({ from: address });
    decides(
      source("ipBlocks: [10.1.0.0/16, 192.0.2.7]"),
      [from("10.1.2.3"), from("::ffff:10.1.2.3"), from("::ffff:a01:203"), from("192.0.2.7")],
      [from("10.2.0.0"), from("192.0.2.8"), from("::a01:203"), from("64:ff9b::a01:203")],
    );
    decides(
      source("ipBlocks: ['::ffff:10.1.0.0/112']"),
      [from("10.1.2.3"), from("::ffff:10.1.2.3")],
      [from("10.2.0.0")],
    );
    decides(source("ipBlocks: ['fe80::/10']"), [from("fe80::1%eth0"), from("FE80::1")], [from("fec0::1")]);
    decides(source("ipBlocks: ['::/0']"), [from("2001:db8::1")], [from("10.0.0.1")]);
    decides(
      source("notIpBlocks: [127.0.0.0/8]"),
      [from("10.0.0.1")],
      [from("::ffff:127.0.0.1"), from("127.0.0.2")],
    );
  });

  test("an address that cannot be read is refused by both", () => {
    for (const address of ["", "unix", "1.2.3"]) {
      const caller = { from: address, client: "10.0.0.1" };
      for (const list of ["ipBlocks", "notIpBlocks"]) {
        expect(guardOf(policy("p", `rules: [{${source(`${list}: [10.0.0.0/8]`)}}]`)).http(caller)).toBe(NONE);
        expect(
          guardOf(policy("p", `action: DENY, rules: [{${source(`${list}: [10.0.0.0/8]`)}}]`)).http(caller),
        ).toBe(by("p"));
      }
    }
  });

  test("the client whom a proxy names is another than the connection's source", () => {
    const proxied = { from: "10.0.0.1", client: "203.0.113.9" };
    decides(source("remoteIpBlocks: [203.0.113.0/24]"), [proxied], [{ from: "10.0.0.1" }]);
    decides(source("ipBlocks: [203.0.113.0/24]"), [], [proxied]);
    decides(
      source("remoteIpBlocks: ['2001:db8::/32']"),
      [{ from: "10.0.0.1", client: "2001:db8::1" }],
      [proxied],
    );
  });

  test("request principals, whichever slash is between issuer and subject", () => {
    const token = (iss: string, sub: string): Caller => ({ claims: { iss, sub } });
    const issuer = "https://issuer.example/realm";
    decides(
      source(`requestPrincipals: ['${issuer}/alice']`),
      [token(issuer, "alice"), token("https://issuer.example", "realm/alice")],
      [
        token(issuer, "alic"),
        token("https://issuer.exampleX/realm", "alice"),
        { claims: { sub: "alice" } },
        {},
      ],
    );
    decides(
      source(`requestPrincipals: ['${issuer}/*']`),
      [token(issuer, "x")],
      [token(`${issuer}2`, "x"), {}],
    );
    decides(
      source("requestPrincipals: ['https://issuer*']"),
      [token(issuer, "x")],
      [token("http://issuer", "x")],
    );
    decides(source("requestPrincipals: ['*/alice']"), [token(issuer, "alice")], [token(issuer, "malice")]);
    decides(source("requestPrincipals: ['*']"), [token(issuer, "x")], [{ claims: { iss: "a" } }, {}]);
    decides(source("notRequestPrincipals: ['*']"), [{}], [token(issuer, "x")]);
  });
});

describe("operations", () => {
  test("AZ-08: paths", () => {
    const at = (path: string): Caller => ({ path });
    decides(
      operation("paths: [/api]"),
      [at("/api"), at("/api?x=/b"), at("/api#x")],
      [at("/apix"), at("/api/"), at("/API"), at("/b?/api")],
    );
    decides(
      operation("paths: ['/api*']"),
      [at("/api"), at("/apix"), at("/api/a")],
      [at("/ap"), at("/x/api")],
    );
    decides(operation("paths: ['/api/*']"), [at("/api/")], [at("/api"), at("/apix")]);
    decides(
      operation("paths: ['*.html']"),
      [at("/a.html"), at("/a.html?x")],
      [at("/a.htm"), at("/a?x.html")],
    );
    decides(operation("paths: ['*']"), [at("/"), at("*")], []);
    decides(operation("paths: [/a.b]"), [at("/a.b")], [at("/axb")]);
    decides(operation("notPaths: [/api]"), [at("/b"), at("/api/")], [at("/api"), at("/api?x")]);
  });

  test("AZ-08: templates take whole segments", () => {
    const at = (path: string): Caller => ({ path });
    decides(
      operation("paths: ['/a/{*}/c']"),
      [at("/a/b/c"), at("/a/b.x/c?d=/e")],
      [at("/a//c"), at("/a/b/b/c"), at("/a/c"), at("/a/b/c/"), at("/x/b/c"), at("/a/b/cc"), at("/a/b/C")],
    );
    decides(operation("paths: ['/a/{**}']"), [at("/a/"), at("/a/b"), at("/a/b/c/")], [at("/a"), at("/ab")]);
    decides(operation("paths: ['/{*}']"), [at("/a")], [at("/"), at("/a/b")]);
    decides(operation("paths: ['/{**}']"), [at("/"), at("/a/b")], [at("*")]);
  });

  test.each(["..", ".", "%2e%2e", "%2E.", ".%2e", "%2e"])(
    "AZ-08: an operator's segment %s is in doubt: neither allowed nor missed by what denies",
    (dots) => {
      const caller = { path: `/a/${dots}/c` };
      for (const paths of ["'/a/{*}/c'", "'/a/{**}'"]) {
        expect(guardOf(policy("p", `rules: [{${operation(`paths: [${paths}]`)}}]`)).http(caller)).toBe(NONE);
        const deny = policy("p", `action: DENY, rules: [{${operation(`paths: [${paths}]`)}}]`);
        expect(guardOf(deny).http(caller)).toBe(by("p"));
      }
    },
  );

  const AS_ADMIN = {
    "AZ-01":
      "/x/../admin /x/%2e%2e/admin /x/.%2e/admin /x/..;/admin /./admin /%2e/admin //admin /x//../admin",
    "AZ-02": String.raw`/x%2f..%2fadmin /%2fadmin /admin%2f /%5cadmin /\admin /x\..\admin`,
    "AZ-03": "/%61dmin /%61%64%6d%69%6e /admin%00 /admin%00.html",
    "AZ-04": "/admin;a=b /;x/admin /admin? /admin#x /admin/",
  };
  test.each(
    Object.entries(AS_ADMIN).flatMap(([id, paths]) => paths.split(" ").map((path) => [id, path] as const)),
  )(
    "%s: %s may be taken for /admin: it is denied, and not allowed for being another path",
    (_id, written) => {
      const caller = { path: written };
      const rule = operation("paths: [/admin, '/admin/*']");
      expect(guardOf(policy("p", `action: DENY, rules: [{${rule}}]`)).http(caller)).toBe(by("p"));
      const others = operation("notPaths: [/admin, '/admin/*']");
      expect(guardOf(policy("p", `rules: [{${others}}]`)).http(caller)).toBe(NONE);
      // With so many rules that they are found by their paths.
      const many = Array.from({ length: 20 }, (_, index) => `{${operation(`paths: [/p${index}]`)}}`).join(
        ", ",
      );
      expect(guardOf(policy("p", `action: DENY, rules: [${many}, {${rule}}]`)).http(caller)).toBe(
        by("p", 20),
      );
    },
  );

  test.each([
    ..."/ADMIN /%2561dmin /%c0%afadmin /..%c0%af /\uff41dmin"
      .split(" ")
      .map((path) => ["AZ-03", path] as const),
    ..."/admin,x /admin. /admin%20 /admin/".split(" ").map((path) => ["AZ-04", path] as const),
  ])("%s: no server takes %s for /admin", (_id, path) => {
    decides(operation("paths: [/admin]"), [], [{ path }]);
  });

  test("paths with escapes are allowed where a rule names them, or all that they may be taken for", () => {
    const at = (path: string): Caller => ({ path });
    decides(operation("paths: ['/a%20b', '/c;v=1']"), [at("/a%20b"), at("/c;v=1")], [at("/a"), at("/c")]);
    const allow = guardOf(policy("p", `rules: [{${operation("paths: ['/public/*']")}}]`));
    expect(allow.http(at("/public/a%20b"))).toBe("200");
    expect(allow.http(at("/public/%2e%2e/admin"))).toBe(NONE);
    expect(allow.http(at("/public/..%2fadmin"))).toBe(NONE);
    expect(allow.http(at("/public/..;/admin"))).toBe(NONE);
  });

  test("methods", () => {
    decides(operation("methods: [GET]"), [{ method: "GET" }], [{ method: "GETX" }]);
    decides(operation("methods: ['*']"), [{ method: "X" }], []);
    decides(operation("notMethods: [GET, HEAD]"), [{ method: "POST" }], [{ method: "HEAD" }]);
  });

  test.each(["get", "GeT"])("AZ-07: %s may be taken for GET, and is never allowed for it", (method) => {
    expect(guardOf(policy("p", `rules: [{${operation("methods: [GET]")}}]`)).http({ method })).toBe(NONE);
    for (const rule of ["methods: [GET]", "methods: ['GE*']"]) {
      const deny = guardOf(policy("p", `action: DENY, rules: [{${operation(rule)}}]`));
      expect(deny.http({ method })).toBe(by("p"));
    }
    const others = guardOf(policy("p", `rules: [{${operation("notMethods: [GET]")}}]`));
    expect(others.http({ method })).toBe(NONE);
  });

  test("AZ-07: a method that a field asks for is not the request's; a rule may look at the field", () => {
    const caller = { method: "POST", headers: ["X-HTTP-Method-Override", "DELETE"] };
    decides(operation("methods: [DELETE]"), [], [caller]);
    decides(when("request.headers[x-http-method-override]", "values: ['*']"), [caller], [{}]);
  });

  test("AZ-07: gRPC's methods are paths, to the letter", () => {
    const at = (path: string): Caller => ({ method: "POST", path });
    decides(
      operation("paths: [/Svc/M]"),
      [at("/Svc/M")],
      [at("/Svc/M/"), at("/svc/m"), at("/Svc/Mx"), at("/Svc")],
    );
  });

  test("AZ-05: a host that is denied is denied at every port; one that is allowed is allowed as written", () => {
    const at = (host: string): Caller => ({ host });
    const allow = guardOf(policy("p", `rules: [{${operation("hosts: [secret.com, '*.example.com']")}}]`));
    const deny = guardOf(
      policy("p", `action: DENY, rules: [{${operation("hosts: [secret.com, '*.example.com']")}}]`),
    );
    for (const host of ["secret.com", "SECRET.com", "a.example.com"]) {
      expect(allow.http(at(host))).toBe("200");
      expect(deny.http(at(host))).toBe(by("p"));
    }
    for (const host of ["secret.com:80", "secret.com:8080", "Secret.com:80", "a.example.com:80"]) {
      expect(allow.http(at(host))).toBe(NONE);
      expect(deny.http(at(host))).toBe(by("p"));
    }
    for (const host of ["secret.comm", "xsecret.com", "example.com", "a.example.com.evil"]) {
      expect(allow.http(at(host))).toBe(NONE);
      expect(deny.http(at(host))).toBe("200");
    }
    const others = guardOf(policy("p", `rules: [{${operation("notHosts: [secret.com]")}}]`));
    expect(others.http(at("secret.com:8080"))).toBe(NONE);
    expect(others.http(at("public.com"))).toBe("200");
    decides(
      operation("hosts: ['secret.com:80']"),
      [at("secret.com:80")],
      [at("secret.com"), at("secret.com:800")],
    );
  });

  test("AZ-05: a name in its ASCII form is the one that is meant, and the last of many hosts is as good as the first", () => {
    const deny = (hosts: string) =>
      guardOf(policy("p", `action: DENY, rules: [{${operation(`hosts: [${hosts}]`)}}]`));
    for (const host of ["xn--bcher-kva.example", "XN--Bcher-KVA.example:80"])
      expect(deny("xn--bcher-kva.example").http({ host })).toBe(by("p"));
    const many = Array.from({ length: 120 }, (_, index) => `host${index}.example`).join(", ");
    for (const host of ["host0.example", "HOST100.example", "Host101.Example:8080", "hOST119.example"])
      expect([host, deny(many).http({ host })]).toEqual([host, by("p")]);
    expect(deny(many).http({ host: "host120.example" })).toBe("200");
  });

  test("ports are the workload's, whatever port a caller names", () => {
    const allow = guardOf(policy("p", `rules: [{${operation("ports: ['9080']")}}]`));
    expect(allow.http({ principal: ALICE })).toBe("200");
    expect(allow.tcp({ principal: ALICE })).toBe(NONE.slice(4));
    const byService = guardOf(policy("p", `rules: [{${operation("ports: ['80']")}}]`));
    expect(byService.http({ principal: ALICE })).toBe(NONE);
    decides(operation("notPorts: ['9090']"), [as(ALICE), {}], []);
  });

  test("each port of a plaintext listener has its own rules", () => {
    const view = {
      ...WORKLOAD,
      inbound: [WORKLOAD.inbound[0]!, { ...WORKLOAD.inbound[0]!, service: "admin", appPort: 9091 }],
    };
    const guard = guardOf(
      policy("p", `action: DENY, rules: [{${operation("ports: ['9091']")}}]`) +
        policy(
          "q",
          "action: DENY, targetRefs: [{kind: Service, name: admin}], rules: [{to: [{operation: {paths: [/x]}}]}]",
        ),
      view,
    );
    expect(guard.http({ host: "reviews:80" })).toBe("200");
    expect(guard.http({ host: "unknown" })).toBe("200");
    expect(guard.http({ host: "admin:80" })).toBe(by("p"));
    expect(guard.http({ host: "reviews:80", path: "/x" })).toBe("200");
  });
});

describe("conditions", () => {
  test("every key", () => {
    decides(
      when("request.headers[X-User]", "values: [a]"),
      [{ headers: ["x-user", "a"] }, { headers: ["X-USER", "a"] }],
      [{ headers: ["x-user", "A"] }, {}],
    );
    decides(
      when("request.headers[x-user]", "notValues: [a]"),
      [{ headers: ["x-user", "b"] }, {}],
      [{ headers: ["x-user", "a"] }],
    );
    decides(when("request.headers[x-user]", "values: ['*']"), [{ headers: ["x-user", ""] }], [{}]);
    decides(when("source.ip", "values: [10.0.0.0/24]"), [{ from: "10.0.0.1" }], [{ from: "10.0.1.1" }]);
    decides(
      when("remote.ip", "values: [10.0.0.0/24]"),
      [{ from: "1.1.1.1", client: "10.0.0.1" }],
      [{ from: "10.0.0.1", client: "1.1.1.1" }],
    );
    decides(when("source.namespace", "values: [default]"), [as(ALICE)], [as(BOB), {}]);
    decides(when("source.principal", `values: [${ALICE}]`), [as(ALICE)], [as(BOB), {}]);
    decides(when("source.serviceAccount", "values: [alice]"), [as(ALICE)], [as(BOB), {}]);
    decides(when("source.trustDomain", "values: [cluster.local]"), [as(ALICE)], [as("x/ns/a/sa/b"), {}]);
    decides(when("destination.ip", "values: [10.0.0.7]"), [{}], []);
    decides(when("destination.port", "values: ['9080']"), [{}], []);
    decides(
      when("connection.sni", "values: ['*.example']"),
      [{ ...as(ALICE), serverName: "a.example" }],
      [as(ALICE), {}],
    );
    decides(when("connection.sni", "values: ['*']"), [{ ...as(ALICE), serverName: "a" }], [{}]);
    const token = {
      iss: "i",
      sub: "s",
      aud: ["a", "b"],
      azp: "p",
      realm: { roles: ["admin"] },
      group: "ops",
    };
    for (const [key, value] of [
      ["request.auth.principal", "i/s"],
      ["request.auth.audiences", "b"],
      ["request.auth.presenter", "p"],
      ["request.auth.claims[group]", "op*"],
      ["request.auth.claims[realm][roles]", "admin"],
    ] as const) {
      decides(
        when(key, `values: ['${value}']`),
        [{ claims: token }],
        [{}, { claims: { iss: "x", group: 1, realm: [] } }],
      );
    }
  });

  test("AZ-06: of a header that is repeated, one value that matches is denied, and all must match to be allowed", () => {
    const headers = ["x-role", "user", "X-Role", "admin"];
    for (const list of [headers, [...headers.slice(2), ...headers.slice(0, 2)]]) {
      const allow = guardOf(policy("p", `rules: [{${when("request.headers[x-role]", "values: [admin]")}}]`));
      const deny = guardOf(
        policy("p", `action: DENY, rules: [{${when("request.headers[x-role]", "values: [admin]")}}]`),
      );
      expect(allow.http({ headers: list })).toBe(NONE);
      expect(deny.http({ headers: list })).toBe(by("p"));
      const allowOthers = guardOf(
        policy("p", `rules: [{${when("request.headers[x-role]", "notValues: [admin]")}}]`),
      );
      const denyOthers = guardOf(
        policy("p", `action: DENY, rules: [{${when("request.headers[x-role]", "notValues: [admin]")}}]`),
      );
      expect(allowOthers.http({ headers: list })).toBe(NONE);
      expect(denyOthers.http({ headers: list })).toBe(by("p"));
    }
    const both = guardOf(
      policy("p", `rules: [{${when("request.headers[x-role]", "values: [admin, user]")}}]`),
    );
    expect(both.http({ headers })).toBe(NONE);
  });

  test.each(["user,admin", "admin, user", "user ,\tadmin", "a,,admin,"])(
    "AZ-06: %j is a list with admin: it is denied, and not allowed as one of its values or for lacking them",
    (value) => {
      const headers = ["x-role", value];
      const rule = (values: string) => when("request.headers[x-role]", values);
      expect(guardOf(policy("p", `rules: [{${rule("values: [admin]")}}]`)).http({ headers })).toBe(NONE);
      expect(guardOf(policy("p", `rules: [{${rule("notValues: [admin]")}}]`)).http({ headers })).toBe(NONE);
      for (const values of [
        "values: [admin]",
        "notValues: [admin]",
        "values: ['adm*']",
        "values: ['*min']",
      ]) {
        const deny = guardOf(policy("p", `action: DENY, rules: [{${rule(values)}}]`));
        expect([values, deny.http({ headers })]).toEqual([values, by("p")]);
      }
      // As it is written it may be allowed.
      expect(
        guardOf(policy("p", `rules: [{${rule(`values: [${JSON.stringify(value)}]`)}}]`)).http({ headers }),
      ).toBe("200");
    },
  );
});

describe("bytes", () => {
  const tcp = (spec: string, caller: Caller = as(ALICE)) => guardOf(policy("p", spec)).tcp(caller);

  test("AZ-10: what only HTTP has never allows bytes, and does not narrow what denies them", () => {
    expect(tcp("rules: [{to: [{operation: {methods: [GET]}}]}]")).toBe(NONE.slice(4));
    expect(tcp("rules: [{from: [{source: {principals: ['*']}}], to: [{operation: {paths: ['*']}}]}]")).toBe(
      NONE.slice(4),
    );
    expect(tcp("action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]")).toBe(by("p").slice(4));
    expect(tcp("action: DENY, rules: [{to: [{operation: {methods: [GET], ports: ['1']}}]}]")).toBe("open");
    expect(tcp("action: DENY, rules: [{when: [{key: 'request.headers[a]', values: [b]}]}]")).toBe(
      by("p").slice(4),
    );
    expect(
      tcp(
        `action: DENY, rules: [{from: [{source: {principals: [${BOB}]}}], to: [{operation: {methods: [GET]}}]}]`,
      ),
    ).toBe("open");
  });

  test("sources and ports decide about connections", () => {
    expect(tcp(`rules: [{from: [{source: {principals: [${ALICE}]}}]}]`)).toBe("open");
    expect(tcp(`rules: [{from: [{source: {principals: [${BOB}]}}]}]`)).toBe(NONE.slice(4));
    expect(tcp("rules: [{to: [{operation: {ports: ['9090']}}]}]")).toBe("open");
    expect(tcp("action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]")).toBe(by("p").slice(4));
  });

  test("redirected connections to ports that nobody declared are guarded, too", () => {
    const guard = guardOf(policy("p", "action: DENY, rules: [{to: [{operation: {ports: ['3306']}}]}]"), {
      ...WORKLOAD,
      intercepts: true,
    });
    expect(guard.tcp({ port: 9090, principal: ALICE })).toBe("open");
    const undeclared = guardOf(policy("p", "action: DENY, rules: [{}]"), { ...WORKLOAD, intercepts: true });
    expect(undeclared.http({ port: 9080 })).toBe(by("p"));
  });
});
