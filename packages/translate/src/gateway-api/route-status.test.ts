import type { MeshObject } from "@tulle/api";
import { expect, test } from "vitest";
import { routeYaml, shop, to } from "../../testdata/gateway-api.js";
import { instance, mesh, objectsOf } from "../../testdata/mesh.js";
import { routeParents } from "./route-status.js";

const V1 = `{backendRefs: [${to("reviews-v1")}]}`;
const INSTANCES = [
  ...shop(),
  instance({ service: "db", namespace: "shop", servicePort: 5432, protocol: "tcp" }),
  instance({ service: "vault", namespace: "bank", servicePort: 9080 }),
];

/** The parents of the first object of `yaml`, each with its conditions as `Type=Status/Reason`. */
function statusOf(yaml: string): Record<string, string[]> {
  return Object.fromEntries(
    parentsOf(yaml).map(({ parentRef, conditions }) => [
      parentRef.name,
      conditions.map(({ type, status, reason }) => `${type}=${status}/${reason}`),
    ]),
  );
}

function parentsOf(yaml: string) {
  const [written] = objectsOf(yaml.split("---\n").filter((text) => text !== "")[0] ?? "");
  return routeParents(mesh(INSTANCES, yaml).reader, written as MeshObject) ?? [];
}

function messagesOf(yaml: string): string {
  return parentsOf(yaml)
    .flatMap(({ conditions }) => conditions.map(({ message }) => message))
    .join("\n");
}

const GOOD = ["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"];

test("a route that holds is accepted, and says for whom", () => {
  expect(statusOf(routeYaml(`[${V1}]`))).toEqual({ reviews: GOOD });
  expect(messagesOf(routeYaml(`[${V1}]`))).toContain(
    "the route holds for calls from every namespace to reviews.shop.svc.cluster.local:9080; reviews.shop.svc.cluster.local:9090",
  );
  const consumer = routeYaml(`[{backendRefs: [${to("reviews-v1", "namespace: shop")}]}]`, {
    namespace: "other",
  });
  expect(statusOf(consumer)).toEqual({ reviews: GOOD });
  expect(messagesOf(consumer)).toContain("the route holds for calls from namespace other to");
});

test("a parent is given back with its defaults; parents that the mesh does not serve are not listed", () => {
  const parent = "{kind: Service, group: '', name: reviews, port: 9080}, {name: edge}";
  expect(parentsOf(routeYaml(`[${V1}]`, { parent })).map(({ parentRef }) => parentRef)).toEqual([
    { kind: "Service", group: "", name: "reviews", port: 9080 },
  ]);
  expect(parentsOf(routeYaml(`[${V1}]`, { parent: "{name: edge}" }))).toEqual([]);
});

test("a service that exists by its routes alone is accepted, for requests; its port must be named", () => {
  const alone = service("front", ", port: 80");
  expect(statusOf(routeYaml(`[${V1}]`, { parent: alone }))).toEqual({ front: GOOD });
  expect(messagesOf(routeYaml(`[${V1}]`, { parent: alone }))).toContain(
    "to front.shop.svc.cluster.local:80, which nobody has registered: it exists by its routes alone",
  );
  expect(statusOf(routeYaml(`[${V1}]`, { parent: alone, kind: "TCPRoute" }))["front"]).toContain(
    "Accepted=False/UnsupportedProtocol",
  );
});

const service = (name: string, more = "") => `{kind: Service, group: '', name: ${name}${more}}`;

test.each<[what: string, parent: string, reason: string, message: string]>([
  [
    "nobody registered",
    service("nobody"),
    "NoMatchingParent",
    "nobody has registered nobody.shop.svc.cluster.local",
  ],
  ["without the port", service("reviews", ", port: 1"), "NoMatchingParent", "has no port 1"],
  ["without the section", service("reviews", ", sectionName: grpc"), "NoMatchingParent", "has no port grpc"],
  [
    "that carries bytes",
    service("db"),
    "UnsupportedProtocol",
    "port 5432 carries tcp, where a HTTPRoute means nothing",
  ],
  [
    "of a ServiceEntry that is not there",
    "{kind: ServiceEntry, group: networking.istio.io, name: x}",
    "NoMatchingParent",
    "nobody has registered ServiceEntry x",
  ],
])("a route of a service %s is not accepted", (_what, parent, reason, message) => {
  const yaml = routeYaml(`[${V1}]`, { parent });
  expect(Object.values(statusOf(yaml)).flat()).toContain(`Accepted=False/${reason}`);
  expect(messagesOf(yaml)).toContain(message);
});

test.each<[what: string, backend: string, reason: string, message: string]>([
  ["nobody registered", to("nobody"), "BackendNotFound", "nobody has registered nobody.shop"],
  ["without the port", "{name: reviews, port: 1}", "BackendNotFound", "has no port 1"],
  ["of an unknown kind", "{group: a.example, kind: Bucket, name: b}", "InvalidKind", "a.example/Bucket b"],
  [
    "that carries bytes",
    "{name: db, port: 5432}",
    "UnsupportedProtocol",
    "port 5432 of db.shop.svc.cluster.local carries tcp",
  ],
  [
    "that may not be referred to",
    to("vault", "namespace: bank"),
    "RefNotPermitted",
    "no ReferenceGrant in namespace bank lets HTTPRoutes of namespace shop refer to Service vault",
  ],
])("a backend %s is said, and the route stays accepted", (_what, backend, reason, message) => {
  const yaml = routeYaml(`[{backendRefs: [${backend}]}]`);
  expect(statusOf(yaml)).toEqual({ reviews: ["Accepted=True/Accepted", `ResolvedRefs=False/${reason}`] });
  expect(messagesOf(yaml)).toContain(message);
});

const BAD = `{matches: [{path: {type: RegularExpression, value: "("}}], backendRefs: [${to("reviews-v1")}]}`;
const UNKNOWN_FILTER = `{filters: [{type: ExtensionRef, extensionRef: {group: a, kind: F, name: f}}], backendRefs: [${to("reviews-v1")}]}`;

test("a route all of whose rules cannot be carried out is not accepted; with some it is partly valid", () => {
  expect(statusOf(routeYaml(`[${BAD}]`))).toEqual({
    reviews: ["Accepted=False/UnsupportedValue", "ResolvedRefs=True/ResolvedRefs"],
  });
  expect(statusOf(routeYaml(`[${V1}, ${BAD}]`))).toEqual({
    reviews: [...GOOD, "PartiallyInvalid=True/UnsupportedValue"],
  });
  expect(messagesOf(routeYaml(`[${V1}, ${BAD}]`))).toContain("Dropped Rule 1 (the regular expression");
  expect(statusOf(routeYaml(`[${UNKNOWN_FILTER}]`))).toEqual({
    reviews: ["Accepted=False/UnsupportedValue", "ResolvedRefs=False/InvalidKind"],
  });
});

const host = (name: string) => `filters: [{type: URLRewrite, urlRewrite: {hostname: ${name}}}]`;
const MIRRORED = to(
  "reviews-v1",
  "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: reviews, port: 9080}}}]",
);

test.each<[what: string, rule: string, reason: string]>([
  [
    "one filter for a rule and its backend",
    `{${host("a")}, backendRefs: [${to("reviews-v1", host("b"))}]}`,
    "IncompatibleFilters",
  ],
  [
    "a mirror of one backend of several",
    `{backendRefs: [${MIRRORED}, ${to("reviews-v2")}]}`,
    "UnsupportedValue",
  ],
])("%s is not accepted", (_what, rule, reason) => {
  expect(statusOf(routeYaml(`[${rule}]`))["reviews"]).toContain(`Accepted=False/${reason}`);
});

test("what holds instead of a route is named", () => {
  const grpc = routeYaml(`[${V1}]`, { kind: "GRPCRoute", name: "calls" });
  expect(statusOf(routeYaml(`[${V1}]`) + grpc)["reviews"]).toContain("Accepted=False/Conflicted");
  expect(messagesOf(routeYaml(`[${V1}]`) + grpc)).toContain("GRPCRoute calls is of a more specific kind");
  expect(statusOf(grpc + routeYaml(`[${V1}]`))["reviews"]).toContain("Accepted=True/Accepted");
  const rules = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: vs, namespace: shop}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}
`;
  expect(statusOf(routeYaml(`[${V1}]`) + rules)["reviews"]).toContain("Accepted=False/Conflicted");
  expect(messagesOf(routeYaml(`[${V1}]`) + rules)).toContain("VirtualService shop/vs rules the same host");
});

test("routes of connections have a status too; the younger of two TCPRoutes says which holds", () => {
  const tcp = (name: string, backend: string, createdAt: string) =>
    routeYaml(`[{backendRefs: [{name: ${backend}, port: 5432}]}]`, {
      kind: "TCPRoute",
      name,
      createdAt,
      parent: service("db"),
    });
  const old = tcp("old", "db", "2025-01-01T00:00:00Z");
  const young = tcp("young", "gone", "2026-01-01T00:00:00Z");
  expect(statusOf(old + young)).toEqual({ db: GOOD });
  expect(statusOf(young + old)).toEqual({
    db: ["Accepted=False/Conflicted", "ResolvedRefs=False/BackendNotFound"],
  });
  const tls = routeYaml(`[{backendRefs: [{name: db, port: 5432}]}]`, {
    kind: "TLSRoute",
    parent: service("db"),
  });
  expect(statusOf(tls)["db"]).toContain("Accepted=False/UnsupportedProtocol");
});

test("what is no route has no parents", () => {
  const yaml = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: vs, namespace: shop}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}
`;
  const [object] = objectsOf(yaml);
  expect(routeParents(mesh(INSTANCES, yaml).reader, object as MeshObject)).toBeUndefined();
});
