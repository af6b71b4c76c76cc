import { expect, test } from "vitest";
import type { Checked } from "../kind.js";
import { meshTcpRouteKind } from "../mesh-tcp-route/kind.js";
import { meshHttpRouteKind } from "./kind.js";

const TO = { kind: "MeshService", name: "reviews" };
const BACKEND = { kind: "MeshService", name: "reviews-v2", weight: 3, port: 9080 };

function problems(checked: Checked<unknown>): string[] {
  return checked.ok
    ? checked.warnings.map((text) => `warning: ${text}`)
    : checked.violations.map(({ path, message }) => `${path}: ${message}`);
}

/** What is wrong with a route whose one rule has these fields. */
function ofRule(fields: Record<string, unknown>): string[] {
  const rule = { matches: [{}], default: {}, ...fields };
  return problems(meshHttpRouteKind.check({ spec: { to: [{ targetRef: TO, rules: [rule] }] } }));
}

const ofDefault = (fields: Record<string, unknown>, more = {}) => ofRule({ default: fields, ...more });
const ofFilter = (type: string, fields: Record<string, unknown>, more = {}) =>
  ofDefault({ filters: [{ type, ...fields }] }, more);
const ofTarget = (targetRef: unknown) =>
  problems(meshHttpRouteKind.check({ spec: { targetRef, to: [{ targetRef: TO }] } }));
const ofTo = (targetRef: unknown) => problems(meshHttpRouteKind.check({ spec: { to: [{ targetRef }] } }));

test("check accepts every documented field and keeps it", () => {
  const spec = {
    targetRef: {
      kind: "MeshSubset",
      mesh: "default",
      tags: { "kuma.io/service": "web" },
      proxyTypes: ["Sidecar"],
    },
    to: [
      {
        targetRef: { ...TO, namespace: "shop", sectionName: "http" },
        rules: [
          {
            matches: [
              {
                path: { type: "PathPrefix", value: "/a" },
                method: "GET",
                queryParams: [{ type: "Exact", name: "q", value: "1" }],
                headers: [
                  { type: "RegularExpression", name: "a", value: "x|y" },
                  { type: "Present", name: "b" },
                  { type: "Absent", name: "c" },
                  { type: "Prefix", name: "d", value: "p" },
                  { name: "e", value: "1" },
                ],
              },
              { path: { type: "PathPrefix", value: "/b" } },
            ],
            default: {
              filters: [
                {
                  type: "RequestHeaderModifier",
                  requestHeaderModifier: { set: [{ name: "x", value: "1" }] },
                },
                { type: "ResponseHeaderModifier", responseHeaderModifier: { remove: ["y"] } },
                {
                  type: "URLRewrite",
                  urlRewrite: {
                    hostToBackendHostname: true,
                    path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/c" },
                  },
                },
                { type: "RequestMirror", requestMirror: { percentage: "12.5", backendRef: TO } },
                { type: "RequestMirror", requestMirror: { percentage: 5, backendRef: TO } },
              ],
              backendRefs: [
                BACKEND,
                { kind: "MeshService", labels: { "kuma.io/display-name": "reviews", version: "v2" } },
                { kind: "MeshServiceSubset", name: "reviews", tags: { version: "v1" } },
                { kind: "MeshExternalService", name: "outside", weight: 0 },
                { kind: "MeshMultiZoneService", labels: { "kuma.io/display-name": "reviews" } },
              ],
            },
          },
          {
            matches: [{ path: { type: "Exact", value: "/old" } }],
            default: { filters: [{ type: "RequestRedirect", requestRedirect: { hostname: "a.example" } }] },
          },
        ],
      },
    ],
  };
  expect(meshHttpRouteKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
  const tcp = { to: [{ targetRef: TO, rules: [{ default: { backendRefs: [BACKEND] } }] }] };
  expect(meshTcpRouteKind.check({ spec: tcp })).toEqual({ ok: true, spec: tcp, warnings: [] });
});

const AT = "spec.to[0].rules[0]";

test.each<[string, readonly string[], readonly unknown[]]>([
  ["a rule without matches", ofRule({ matches: [] }), [`${AT}.matches: must have at least one item`]],
  [
    "a match on a path without type",
    ofRule({ matches: [{ path: { value: "/a" } }] }),
    [expect.stringContaining(`${AT}.matches[0].path.type: is required`)],
  ],
  [
    "a path that is none",
    ofRule({ matches: [{ path: { type: "Exact", value: "a" } }] }),
    [`${AT}.matches[0].path.value: must begin with "/", got "a"`],
  ],
  [
    "a header twice",
    ofRule({
      matches: [
        {
          headers: [
            { name: "a", value: "1" },
            { name: "A", value: "2" },
          ],
        },
      ],
    }),
    [`${AT}.matches[0].headers[1].name: repeats "A"`],
  ],
  [
    "a value for presence, and none for a comparison",
    ofRule({ matches: [{ headers: [{ type: "Present", name: "a", value: "1" }, { name: "b" }] }] }),
    [
      `${AT}.matches[0].headers[0].value: cannot be given with type Present`,
      `${AT}.matches[0].headers[1].value: is required`,
    ],
  ],
  [
    "a filter without its field",
    ofFilter("URLRewrite", {}),
    [`${AT}.default.filters[0].urlRewrite: is required for a filter of type URLRewrite`],
  ],
  [
    "a prefix to replace where there is none",
    ofFilter(
      "URLRewrite",
      { urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/a" } } },
      { matches: [{ path: { type: "PathPrefix", value: "/b" } }, {}] },
    ),
    [
      `${AT}.default.filters[0].urlRewrite.path.replacePrefixMatch: needs a rule all of whose matches are of type PathPrefix`,
    ],
  ],
  [
    "two hosts",
    ofFilter("URLRewrite", { urlRewrite: { hostname: "a.example", hostToBackendHostname: true } }),
    [`${AT}.default.filters[0].urlRewrite.hostname: cannot stand together with hostToBackendHostname`],
  ],
  ...["101", "-1", "1.", "many", 0.5, 101].map(
    (percentage) =>
      [
        `the percentage ${percentage}`,
        ofFilter("RequestMirror", { requestMirror: { percentage, backendRef: TO } }),
        [expect.stringContaining("expected a percentage from 0 to 100")],
      ] as [string, string[], unknown[]],
  ),
  [
    "a redirect to a backend",
    ofDefault({ filters: [{ type: "RequestRedirect", requestRedirect: {} }], backendRefs: [BACKEND] }),
    [expect.stringContaining("a redirect goes to no backend")],
  ],
  [
    "a backend by nothing",
    ofDefault({ backendRefs: [{ kind: "MeshService" }] }),
    [`${AT}.default.backendRefs[0].name: is required, or labels in its place`],
  ],
  [
    "a backend by labels of nobody",
    ofDefault({ backendRefs: [{ kind: "MeshService", labels: { version: "v1" } }] }),
    [expect.stringContaining("must have kuma.io/display-name")],
  ],
  [
    "tags of a whole service",
    ofDefault({ backendRefs: [{ ...BACKEND, tags: { version: "v1" } }] }),
    [`${AT}.default.backendRefs[0].tags: cannot stand in a reference to a MeshService`],
  ],
  [
    "calls of some instances",
    ofTo({ kind: "MeshService", labels: { "kuma.io/display-name": "reviews", version: "v1" } }),
    [expect.stringContaining("spec.to[0].targetRef.labels.version: selects among instances")],
  ],
  ["calls of all services", ofTo({ kind: "Mesh" }), [expect.stringContaining("spec.to[0].targetRef.kind")]],
  [
    "proxies by name",
    ofTarget({ kind: "Dataplane", name: "web-1" }),
    ["spec.targetRef.name: is not known of proxies: select them by labels"],
  ],
  [
    "labels of the mesh",
    ofTarget({ kind: "Mesh", labels: { a: "b" } }),
    ["spec.targetRef.labels: cannot stand in a reference to a Mesh"],
  ],
  [
    "a gateway",
    ofTarget({ kind: "MeshGateway", name: "edge" }),
    [expect.stringContaining("spec.targetRef.kind: expected one of Mesh")],
  ],
  [
    "another mesh",
    ofTarget({ kind: "Mesh", mesh: "other" }),
    [expect.stringContaining('spec.targetRef.mesh: expected "default"')],
  ],
  [
    "hostnames",
    problems(meshHttpRouteKind.check({ spec: { to: [{ targetRef: TO, hostnames: ["a.example"] }] } })),
    ["warning: spec.to[0].hostnames has no effect: it is for gateways; match the Host header instead"],
  ],
  [
    "no calls at all",
    problems(meshHttpRouteKind.check({ spec: {} })),
    ["warning: spec.to is empty: the route holds for no calls"],
  ],
])("check refuses %s, or warns", (_what, found, expected) => {
  expect(found).toEqual(expected);
});

test("check refuses objects of another mesh, whatever else is wrong with them", () => {
  const metadata = { name: "a", labels: { "kuma.io/mesh": "other" } };
  expect(problems(meshHttpRouteKind.check({ metadata, spec: { to: [{ targetRef: TO }] } }))).toEqual([
    'metadata.labels["kuma.io/mesh"]: must be "default": there is one mesh, of that name',
  ]);
});

test("check allows one rule for connections", () => {
  const rule = { default: {} };
  const checked = meshTcpRouteKind.check({ spec: { to: [{ targetRef: TO, rules: [rule, rule] }] } });
  expect(problems(checked)).toEqual(["spec.to[0].rules: must have at most one item"]);
});
