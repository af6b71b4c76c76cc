import { silentLogger } from "@tulle/base";
import type { MeshObject } from "@tulle/api";
import { expect, test } from "vitest";

import { createAdmission } from "./admission.js";
import { objectOf, readerOf } from "./testdata/objects.js";

const TO = "route: [{destination: {host: reviews}}]";
const admitAmong = (...stored: MeshObject[]) =>
  createAdmission({ reader: readerOf(stored), logger: silentLogger });
const routes = (name: string, hosts: string, more = "", metadata = {}) =>
  objectOf("VirtualService", name, `{hosts: [${hosts}], http: [{${TO}}]${more}}`, metadata);

test("a second object for a host is refused with both owners named", () => {
  const verdict = admitAmong(routes("old", "reviews"))(
    routes("new", "a, reviews.default.svc.cluster.local"),
    undefined,
  );
  expect(verdict.violations).toEqual([
    {
      path: "spec.hosts[1]",
      message: expect.stringMatching(
        /^conflicts with VirtualService default\/old: .*the host reviews\.default\.svc\.cluster\.local, and VirtualService default\/new/,
      ),
    },
  ]);
});

test("the annotation stores it all the same, with a warning", () => {
  const annotations = { "tulle.dev/allow-conflict": "true" };
  const verdict = admitAmong(routes("old", "reviews"))(
    routes("new", "reviews", "", { annotations }),
    undefined,
  );
  expect(verdict).toEqual({
    violations: [],
    warnings: [expect.stringContaining("the older of the two holds")],
  });
});

test.each([
  ["another host", routes("old", "ratings"), routes("new", "reviews")],
  ["a wildcard", routes("old", '"*.default.svc.cluster.local"'), routes("new", "reviews")],
  ["a gateway", routes("old", "reviews", ", gateways: [shop/front]"), routes("new", "reviews")],
  ["a delegate", objectOf("VirtualService", "old", `{http: [{${TO}}]}`), routes("new", "reviews")],
  [
    "other namespaces' eyes",
    routes("old", "reviews", ', exportTo: ["."]'),
    routes("new", "reviews.default", ', exportTo: ["."]', { namespace: "shop" }),
  ],
  ["itself", routes("same", "reviews"), routes("same", "reviews, ratings")],
])("an object for a host beside %s comes through", (_what, old, next) => {
  expect(admitAmong(old)(next, undefined).violations).toEqual([]);
});

test("a conflict that was there before is not held against a write", () => {
  const old = routes("old", "reviews");
  const both = routes("both", "reviews");
  const changed = routes("both", "reviews", "", { labels: { a: "b" } });
  expect(admitAmong(old, both)(changed, both).violations).toEqual([]);
  expect(admitAmong(old, both)(routes("both", "reviews, a"), both).violations).toEqual([]);
});

test("what proxies would refuse is refused, unless it was so before", () => {
  const bad = (extra: string) =>
    objectOf(
      "VirtualService",
      "a",
      `{hosts: [reviews], http: [{match: [{uri: {regex: "[[:nope:]]"}}], ${TO}}${extra}]}`,
    );
  const admit = admitAmong();
  expect(admit(bad(""), undefined).violations).toEqual([
    { path: "spec.http[0]", message: expect.stringContaining("proxies would refuse") },
  ]);
  expect(admitAmong(bad(""))(bad(`, {${TO}}`), bad("")).violations).toEqual([]);
});

test("two policies for the same workloads are refused", () => {
  const old = objectOf("PeerAuthentication", "old", "{mtls: {mode: STRICT}}");
  const verdict = admitAmong(old)(
    objectOf("PeerAuthentication", "new", "{mtls: {mode: DISABLE}}"),
    undefined,
  );
  expect(verdict.violations).toMatchObject([{ path: "spec.selector" }]);
  const sidecar = objectOf("Sidecar", "old", "{workloadSelector: {labels: {app: a}}}");
  const same = objectOf("Sidecar", "new", "{workloadSelector: {labels: {app: a}}}");
  expect(admitAmong(sidecar)(same, undefined).violations).toMatchObject([{ path: "spec.workloadSelector" }]);
});

test("two health checks for the same endpoints are refused", () => {
  const check = (name: string, spec: string) => objectOf("HealthCheck", name, `{${spec}, tcp: {}}`);
  const admit = admitAmong(check("old", "host: reviews, port: 80, subset: v1"));
  const full = "host: reviews.default.svc.cluster.local";
  expect(admit(check("new", `${full}, port: 80, subset: v1`), undefined).violations).toEqual([
    {
      path: "spec.host",
      message: expect.stringMatching(
        /^conflicts with HealthCheck default\/old: .*the subset v1 of reviews\.default\.svc\.cluster\.local on port 80/,
      ),
    },
  ]);
  for (const other of ["port: 81, subset: v1", "port: 80", "subset: v1", "port: 80, subset: v2"])
    expect(admit(check("new", `${full}, ${other}`), undefined).violations).toEqual([]);
});

const resolver = (name: string, spec: string) => objectOf("ServiceResolver", name, spec);

test("an entry of Consul's is refused that cannot be, and warned of what it names that may come to be declared", () => {
  const declared = resolver("reviews", "{subsets: {v2: {}}}");
  const empty = resolver("reviews", "{}");
  const router = objectOf(
    "ServiceRouter",
    "web",
    "{routes: [{destination: {service: reviews, serviceSubset: v2}}]}",
  );
  const missing = 'service "reviews" does not have a subset named "v2"';
  const verdict = admitAmong()(router, undefined);
  expect(verdict.violations).toEqual([]);
  expect(verdict.warnings).toEqual([expect.stringContaining(`spec.routes[0].destination: ${missing}`)]);
  expect(admitAmong(declared)(router, undefined).warnings).toEqual([]);
  expect(admitAmong(declared, router)(empty, declared).warnings).toEqual([
    expect.stringContaining(
      `spec: with it, ServiceRouter default/web spec.routes[0].destination: ${missing}`,
    ),
  ]);
  expect(admitAmong(router)(empty, undefined).warnings).toEqual([]);
  const circle = admitAmong(resolver("a", "{redirect: {service: b}}"))(
    resolver("b", "{redirect: {service: a}}"),
    undefined,
  );
  expect(circle.violations.map(({ message }) => message).join()).toContain("lead back to where they began");
});

test("what proxies would refuse of a router is refused at its route", () => {
  const router = objectOf(
    "ServiceRouter",
    "reviews",
    '{routes: [{}, {match: {http: {pathRegex: "[[:nope:]]"}}}]}',
  );
  expect(admitAmong()(router, undefined).violations).toMatchObject([{ path: "spec.routes[1]" }]);
});
