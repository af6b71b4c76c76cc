import { expect, test } from "vitest";
import { instance, mesh } from "../../../testdata/mesh.js";
import { analyze } from "../analyze.js";

const MESH = [
  instance({ service: "reviews", servicePort: 9080, version: "v1" }),
  instance({ service: "db", servicePort: 5432, protocol: "tcp" }),
];

function findings(kind: string, to: string, { live = true, more = "" } = {}): readonly string[] {
  const yaml = `
apiVersion: kuma.io/v1alpha1
kind: ${kind}
metadata: {name: a}
spec: {to: [${to}]}
${more}`;
  return analyze(mesh(MESH, yaml).reader, {
    live,
    subjects: (object) => object.kind === kind,
  }).map(({ code, path, message }) => `${code} ${path}: ${message}`);
}

const http = (rule: string, name = "reviews") =>
  `{targetRef: {kind: MeshService, name: ${name}}, rules: [{${rule}}]}`;
const to = (reference: string) => http(`matches: [{}], default: {backendRefs: [${reference}]}`);
const AT = "spec.to[0].rules[0].default.backendRefs[0]";

test.each<[what: string, kind: string, to: string, expected: readonly string[]]>([
  ["a route that is right", "MeshHTTPRoute", to("{kind: MeshService, name: reviews, port: 9080}"), []],
  [
    "a service that is not there",
    "MeshHTTPRoute",
    http("matches: [{}], default: {}", "nobody"),
    [
      "IST0101 spec.to[0].targetRef: there is no service nobody.default.svc.cluster.local: the MeshHTTPRoute has no effect on it",
    ],
  ],
  [
    "a backend that is not there",
    "MeshHTTPRoute",
    to("{kind: MeshService, name: nobody}"),
    [`IST0101 ${AT}: there is no service nobody.default.svc.cluster.local: calls to it fail`],
  ],
  [
    "a port that is not there",
    "MeshHTTPRoute",
    to("{kind: MeshService, name: reviews, port: 1}"),
    [`IST0101 ${AT}.port: reviews.default.svc.cluster.local has no port 1; it has 9080`],
  ],
  [
    "instances that are not there",
    "MeshHTTPRoute",
    to("{kind: MeshServiceSubset, name: reviews, tags: {version: v9}}"),
    [
      `IST0101 ${AT}: no instance of reviews.default.svc.cluster.local is labelled version=v9: calls to it fail`,
    ],
  ],
  [
    "a mirror that is not there",
    "MeshHTTPRoute",
    http(
      "matches: [{}], default: {filters: [{type: RequestMirror, requestMirror: {backendRef: {kind: MeshService, name: nobody}}}]}",
    ),
    [
      "IST0101 spec.to[0].rules[0].default.filters[0].requestMirror.backendRef: there is no service nobody.default.svc.cluster.local: calls to it fail",
    ],
  ],
  [
    "a regular expression that is none",
    "MeshHTTPRoute",
    http("matches: [{headers: [{type: RegularExpression, name: x, value: '('}]}], default: {}"),
    [
      expect.stringMatching(
        /^IST0122 spec\.to\[0\]\.rules\[0\]\.matches\[0\]\.headers\[0\]\.value: /,
      ) as string,
    ],
  ],
  [
    "a route for requests to a port of bytes",
    "MeshHTTPRoute",
    http("matches: [{}], default: {}", "db"),
    [
      "TUL0001 : MeshHTTPRoute default/a to[0] has no effect on db.default.svc.cluster.local:5432: the port does not carry HTTP",
    ],
  ],
  [
    "a route for connections to a port of requests",
    "MeshTCPRoute",
    "{targetRef: {kind: MeshService, name: reviews}, rules: [{default: {backendRefs: [{kind: MeshService, name: nobody}]}}]}",
    [
      `IST0101 ${AT}: there is no service nobody.default.svc.cluster.local: calls to it fail`,
      "TUL0001 : MeshTCPRoute default/a to[0] has no effect on reviews.default.svc.cluster.local:9080: the port carries HTTP; write a MeshHTTPRoute",
    ],
  ],
  [
    "balancing of a service that is not there",
    "MeshLoadBalancingStrategy",
    "{targetRef: {kind: MeshService, name: nobody}, default: {loadBalancer: {type: Random}}}, {targetRef: {kind: Mesh}}",
    [
      "IST0101 spec.to[0].targetRef: there is no service nobody.default.svc.cluster.local: the MeshLoadBalancingStrategy has no effect on it",
    ],
  ],
])("analysis of %s", (_what, kind, item, expected) => {
  expect([...findings(kind, item)].sort()).toEqual(expected);
});

test("of files alone nothing is said of what may be registered, but of rivals", () => {
  expect(findings("MeshHTTPRoute", to("{kind: MeshService, name: nobody}"), { live: false })).toEqual([]);
  const more = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}
`;
  expect(findings("MeshHTTPRoute", http("matches: [{}], default: {}"), { live: false, more })).toEqual([
    "TUL0001 : MeshHTTPRoute default/a to[0] has no effect on reviews.default.svc.cluster.local:80: VirtualService default/b rules the same host",
  ]);
});
