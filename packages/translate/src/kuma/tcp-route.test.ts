import { LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";
import { CLIENT, instance, made, mesh, tcpClustersOf, tcpProxy } from "../../testdata/mesh.js";

const DB = ["v1", "v2"].map((version) =>
  instance({ service: "db", servicePort: 5432, protocol: "tcp", version }),
);
const OTHER = instance({ service: "other-db", servicePort: 5432, protocol: "tcp" });
const WEB = instance({ service: "web", servicePort: 80 });

function route(backendRefs: string, { name = "db", kind = "MeshTCPRoute", to = "db" } = {}): string {
  const matches = kind === "MeshHTTPRoute" ? "matches: [{}], " : "";
  return `---
apiVersion: kuma.io/v1alpha1
kind: ${kind}
metadata: {name: ${name}}
spec: {to: [{targetRef: {kind: MeshService, name: ${to}}, rules: [{${matches}default: {${backendRefs}}}]}]}
`;
}

function clusters(yaml: string): string[] {
  const proxy = tcpProxy(mesh([...DB, OTHER], yaml), CLIENT, "db:5432");
  return proxy === undefined ? [] : tcpClustersOf(proxy);
}

const OWN = "outbound|5432||db.default.svc.cluster.local";
const OTHERS = "outbound|5432||other-db.default.svc.cluster.local";

test("connections go to the backends, by weight", () => {
  const refs =
    "backendRefs: [{kind: MeshServiceSubset, name: db, tags: {version: v1}, weight: 9}, {kind: MeshService, name: other-db, weight: 1}, {kind: MeshService, name: db, weight: 0}]";
  const proxy = tcpProxy(mesh([...DB, OTHER], route(refs)), CLIENT, "db:5432");
  expect(proxy?.clusterSpecifier).toMatchObject({
    case: "weightedClusters",
    value: {
      clusters: [
        { name: "outbound|5432|version=v1|db.default.svc.cluster.local", weight: 9 },
        { name: OTHERS, weight: 1 },
      ],
    },
  });
  expect(proxy?.statPrefix).toBe("db/to[0].rules[0]");
});

test("without backends connections go to the service that was called, or as the next policy says", () => {
  expect(clusters(route(""))).toEqual([OWN]);
  const next = route("backendRefs: [{kind: MeshService, name: other-db}]", { name: "later" });
  expect(clusters(route("") + next)).toEqual([OTHERS]);
});

const BACKEND = "backendRefs: [{kind: MeshService, name: other-db}]";
const HOLDS = {
  VirtualService: `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: first}
spec: {hosts: [db], tcp: [{route: [{destination: {host: db}}]}]}
`,
  TCPRoute: `---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: first}
spec: {parentRefs: [{kind: Service, group: '', name: db}], rules: [{backendRefs: [{name: db, port: 5432}]}]}
`,
};

test.each([
  ["VirtualService default/first rules the same host", HOLDS.VirtualService],
  ["TCPRoute default/first is bound to the same port", HOLDS.TCPRoute],
])("%s: it holds, and the policy's status says so", (why, rival) => {
  const yaml = route(BACKEND) + rival;
  expect(clusters(yaml)).toEqual([OWN]);
  expect(made(mesh([...DB, OTHER], yaml), CLIENT, LISTENER_TYPE, "db:5432").warnings).toEqual([
    `MeshTCPRoute default/db to[0] has no effect on db.default.svc.cluster.local:5432: ${why}`,
  ]);
});

test("routes of the other kind of traffic have no effect, and say so", () => {
  const wrong = route(BACKEND, { kind: "MeshHTTPRoute" });
  expect(clusters(wrong)).toEqual([OWN]);
  expect(made(mesh([...DB, OTHER], wrong), CLIENT, LISTENER_TYPE, "db:5432").warnings).toEqual([
    "MeshHTTPRoute default/db to[0] has no effect on db.default.svc.cluster.local:5432: the port does not carry HTTP",
  ]);
  const yaml = route(BACKEND, { to: "web" });
  const { warnings } = made(mesh([WEB, OTHER], yaml), CLIENT, ROUTE_TYPE, "web.default.svc.cluster.local:80");
  expect(warnings).toEqual([
    "MeshTCPRoute default/db to[0] has no effect on web.default.svc.cluster.local:80: the port carries HTTP; write a MeshHTTPRoute",
  ]);
});
