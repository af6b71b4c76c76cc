import { silentLogger } from "@tulle/base";
import type { MeshObject } from "@tulle/api";
import { translate, type ClientView, type MeshReader } from "@tulle/translate";
import { LISTENER_TYPE, NAME_TABLE_TYPE, ROUTE_TYPE } from "@tulle/xds";
import fc from "fast-check";
import { expect, test } from "vitest";

import { createQuarantine } from "./quarantine.js";
import { objectOf, readerOf } from "./testdata/objects.js";

const { settings } = readerOf([]);
const VIEW: ClientView = { dialect: "tulle", namespace: "default", mtls: true, labels: {}, inbound: [] };
const TO = "route: [{destination: {host: reviews}}]";
const GOOD = [
  objectOf(
    "VirtualService",
    "good",
    "{hosts: [reviews], http: [{delegate: {name: part}}, {directResponse: {status: 404}}]}",
  ),
  objectOf("VirtualService", "part", `{http: [{match: [{uri: {prefix: /a}}], ${TO}}]}`),
  objectOf("DestinationRule", "good", "{host: reviews, trafficPolicy: {loadBalancer: {simple: RANDOM}}}"),
  objectOf(
    "ServiceEntry",
    "good",
    "{hosts: [a.example], resolution: STATIC, ports: [{number: 80, name: http}], endpoints: [{address: 10.0.0.1}]}",
  ),
];

function readerWith(objects: readonly MeshObject[]): MeshReader {
  const quarantine = createQuarantine({ settings, logger: silentLogger });
  const reader = readerOf(objects);
  return { ...reader, objects: (group, kind) => quarantine.admitted(reader.objects(group, kind)) };
}

/** Versions of everything that a client of the good objects asks for. */
function versions(objects: readonly MeshObject[]): readonly string[] {
  const reader = readerWith(objects);
  const names = ["reviews.default.svc.cluster.local:80", "a.example:80"];
  const asked: [string, string][] = [[NAME_TABLE_TYPE, "name-table"]];
  for (const name of names) asked.push([LISTENER_TYPE, name], [ROUTE_TYPE, name]);
  for (const host of ["reviews.default.svc.cluster.local", "a.example"]) {
    asked.push(["type.googleapis.com/envoy.config.cluster.v3.Cluster", `outbound|80||${host}`]);
  }
  return asked.map(
    ([typeUrl, name]) => `${name} ${translate(reader, VIEW, typeUrl, name).resource?.version}`,
  );
}

test("admitted leaves out what no proxy takes, and says why", () => {
  const bad = objectOf(
    "VirtualService",
    "bad",
    `{hosts: [reviews], http: [{match: [{uri: {regex: "[[:nope:]]"}}], ${TO}}]}`,
  );
  const quarantine = createQuarantine({ settings, logger: silentLogger });
  const list = [...GOOD.slice(0, 2), bad];
  expect(quarantine.admitted(list)).toEqual(GOOD.slice(0, 2));
  expect(quarantine.admitted(list)).toBe(quarantine.admitted(list));
  expect(quarantine.reasonFor(bad)).toContain("spec.http[0]: proxies would refuse");
  const fine = GOOD.slice(0, 2);
  expect(quarantine.admitted(fine)).toBe(fine);
});

test("a rule that secures something is not left out: without it more would be open", () => {
  const quarantine = createQuarantine({ settings, logger: silentLogger });
  const tls = objectOf("DestinationRule", "tls", "{host: '*.example', trafficPolicy: {tls: {mode: SIMPLE}}}");
  expect(quarantine.reasonFor(tls)).toBeUndefined();
});

test("in place of an authorization policy that cannot be read everything is denied to whom it is about", () => {
  const quarantine = createQuarantine({ settings, logger: silentLogger });
  const selected = { selector: { matchLabels: { app: "reviews" } } };
  const base = objectOf("AuthorizationPolicy", "p", "{}");
  const held = (spec: unknown) => quarantine.admitted([{ ...base, spec }]).map((object) => object.spec);
  const everything = { action: "DENY", rules: [{}] };
  expect(held({ ...selected, action: "DENY", rules: [{ form: [] }] })).toEqual([
    { ...selected, ...everything },
  ]);
  expect(held({ ...selected, rules: [{ when: [{ key: "no.such.key", values: ["a"] }] }] })).toEqual([
    { ...selected, ...everything },
  ]);
  expect(held({ selector: { labels: {} } })).toEqual([everything]);
  expect(held("nonsense")).toEqual([everything]);
  expect(held({ ...selected, action: "ALLOW" })).toEqual([{ ...selected, action: "ALLOW" }]);
});

test("whatever bad object is stored among good ones, the others' resources stay what they are", () => {
  const before = versions(GOOD);
  expect(before.every((version) => !version.endsWith("undefined"))).toBe(true);
  const kind = fc.constantFrom(
    "VirtualService",
    "DestinationRule",
    "ServiceEntry",
    "WorkloadEntry",
    "Sidecar",
  );
  const field = fc.constantFrom(
    "hosts",
    "host",
    "http",
    "tls",
    "exportTo",
    "ports",
    "subsets",
    "endpoints",
    "egress",
    "workloadSelector",
    "address",
    "trafficPolicy",
  );
  const spec = fc.oneof(fc.dictionary(field, fc.jsonValue({ maxDepth: 3 }), { minKeys: 1 }), fc.jsonValue());
  const bad = fc.record({ kind, spec }).map(({ kind: name, spec: content }): MeshObject => {
    const [base] = GOOD;
    if (base === undefined) throw new Error("there is a good object");
    return { ...base, kind: name, metadata: { ...base.metadata, name: "bad", uid: "bad" }, spec: content };
  });
  const judge = createQuarantine({ settings, logger: silentLogger });
  let refused = 0;
  fc.assert(
    fc.property(bad, (object) => {
      // By chance some are right, and mean something.
      fc.pre(judge.reasonFor(object) !== undefined);
      refused++;
      expect(versions([object, ...GOOD])).toEqual(before);
    }),
    { numRuns: 300 },
  );
  expect(refused).toBeGreaterThan(200);
});
