import { ROUTE_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";
import { CLIENT, instance, made, mesh, routesOf } from "../testdata/mesh.js";

const NAME = "reviews.default.svc.cluster.local:9080";
const REVIEWS = [instance({ service: "reviews", servicePort: 9080 })];

/** A VirtualService whose one route is recognised by its response status. */
function rule(name: string, status: number, spec: string, metadata = ""): string {
  return `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}${metadata}}
spec: {${spec}, http: [{directResponse: {status: ${status}}}]}
`;
}

function statusOf(yaml: string, view = CLIENT): number | undefined {
  const [route] = routesOf(mesh(REVIEWS, yaml), view, NAME);
  return route?.action.case === "directResponse" ? route.action.value.status : undefined;
}

test("virtualServiceFor prefers the exact host to wildcards and the longer wildcard to the shorter", () => {
  const exact = rule("exact", 201, "hosts: [reviews]");
  const near = rule("near", 202, 'hosts: ["*.default.svc.cluster.local"]');
  const far = rule("far", 203, 'hosts: ["*.local"]');
  expect(statusOf(far + near + exact)).toBe(201);
  expect(statusOf(far + near)).toBe(202);
  expect(statusOf(far)).toBe(203);
  expect(statusOf("")).toBeUndefined();
});

test("virtualServiceFor takes the oldest of equals and warns of the others", () => {
  const yaml =
    rule("a", 201, "hosts: [reviews]", ", creationTimestamp: '2026-02-01T00:00:00Z'") +
    rule("b", 202, "hosts: [reviews]", ", creationTimestamp: '2026-01-01T00:00:00Z'");
  expect(statusOf(yaml)).toBe(202);
  const { warnings, owners } = made(mesh(REVIEWS, yaml), CLIENT, ROUTE_TYPE, NAME);
  expect(warnings).toEqual([expect.stringContaining("VirtualService default/a is ignored")]);
  expect(owners).toEqual(["VirtualService/default/b"]);
});

test("virtualServiceFor takes the first by name of those that are as old", () => {
  expect(statusOf(rule("b", 202, "hosts: [reviews]") + rule("a", 201, "hosts: [reviews]"))).toBe(201);
});

test("virtualServiceFor leaves out what is for gateways only", () => {
  expect(statusOf(rule("a", 201, "hosts: [reviews], gateways: [shop/front]"))).toBeUndefined();
  expect(statusOf(rule("a", 201, "hosts: [reviews], gateways: [shop/front, mesh]"))).toBe(201);
});

test.each([
  ['["."]', "default", 201],
  ['["."]', "other", undefined],
  ['["other"]', "other", 201],
  ['["other"]', "default", undefined],
  ['["*"]', "other", 201],
])("virtualServiceFor with exportTo %s in namespace %s gives %s", (exportTo, namespace, expected) => {
  const yaml = rule("a", 201, `hosts: [reviews], exportTo: ${exportTo}`);
  expect(statusOf(yaml, { ...CLIENT, namespace })).toBe(expected);
});

test("virtualServiceFor reads short hosts in the namespace of the object", () => {
  expect(statusOf(rule("a", 201, "hosts: [reviews]", ", namespace: other"))).toBeUndefined();
  expect(statusOf(rule("a", 201, "hosts: [reviews.default]", ", namespace: other"))).toBe(201);
});

test("routeConfiguration says that tcp rules have no effect on a service that speaks HTTP alone", () => {
  const yaml = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec: {hosts: [reviews], tcp: [{route: [{destination: {host: reviews}}]}]}
`;
  const at = mesh(REVIEWS, yaml);
  expect(routesOf(at, CLIENT, NAME).map(({ name }) => name)).toEqual(["default"]);
  expect(made(at, CLIENT, ROUTE_TYPE, NAME).warnings).toEqual([
    expect.stringContaining("tcp rules have no effect"),
  ]);
});
